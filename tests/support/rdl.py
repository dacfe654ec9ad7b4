# SPDX-License-Identifier: Apache-2.0
"""Harness of the system tests: starts real things and leaves nothing of them behind.

THEORY
Everything a test starts belongs to one `Session`, which ends them in reverse order: when the test
is over, when it fails, at Ctrl-C, at exit. Three nets lie under that, one below the other:
  1. each process is started through `Session.start()`, leads a process group of its own, and is
     stopped by that group;
  2. the kernel kills each of them when this process dies (parent-death signal), and what is in a
     guest dies with the guest's process 1 (rdl_guest.py);
  3. every process carries RDL_SESSION=<id> in its environment; `Session.leftovers()` looks for that
     mark, for mounts and control groups under our names, and the test module fails if it finds any.
A name outside a private namespace (socket, directory) exists only under `Session.dir`, whose path
is short because a unix socket's path may have 107 bytes.

A test module ends with `if __name__ == "__main__": rdl.main()`. Waiting is always for a condition:
`wait_until()`. Threads: start processes from threads that live as long as the process does; the
parent-death signal is tied to the thread that forked.
"""

import atexit
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SKIP = 77  # the exit code ctest reads as "skipped"

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class Skip(unittest.SkipTest):
    """This machine cannot run it; the text says why."""


class Timeout(AssertionError):
    """A condition did not come true in time."""


def binary(name, folder=None):
    """Path of one of our programs: in `folder`, else RDL_BIN, else what the dev preset built."""
    path = pathlib.Path(folder or os.environ.get("RDL_BIN", ROOT / "build/dev/bin")) / name
    if not path.exists():
        raise FileNotFoundError(f"{path} is not built (set RDL_BIN, or ./dev build)")
    return str(path)


def plain_binaries():
    """The folder of a build without sanitizers: RDL_BIN, or what ./dev build made; None: neither."""
    for folder in (pathlib.Path(binary("rdlinkd")).parent, ROOT / "build/bin"):
        program = folder / "rdlinkd"
        if program.exists() and b"__asan_init" not in program.read_bytes():
            return folder
    return None


def tool(name, package):
    """Path of a program of the system, or Skip with the Debian package that has it."""
    # Debian's wine64 keeps its server beside its loader.
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:/usr/lib/wine")
    if not path:
        raise Skip(f"{name} is not installed (Debian package {package})")
    return path


def wait_until(condition, timeout, what, every=0.02):
    """First true value of condition(); Timeout after `timeout` seconds. An OSError raised by the
    condition counts as "not yet" and is shown when time runs out."""
    end = time.monotonic() + timeout
    last = None
    while True:
        try:
            value = condition()
            if value:
                return value
        except OSError as error:
            last = error
        if time.monotonic() >= end:
            raise Timeout(f"not within {timeout} s: {what}" + (f" ({last})" if last else ""))
        time.sleep(every)


def measured(what, seconds):
    """One figure of the run, in the form that the documentation collects."""
    print(f"measured: {what}: {seconds:.3f} s", flush=True)


class Stalls:
    """How much later than asked this machine woke a sleeper up, at worst, during the `with`. A
    test of a bound adds .worst_s to it, so that it judges our programs and not the machine."""

    STEP_S = 0.005

    def __enter__(self):
        self.worst_s = 0.0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    def _watch(self):
        while not self._end.is_set():
            began = time.monotonic()
            time.sleep(self.STEP_S)
            self.worst_s = max(self.worst_s, time.monotonic() - began - self.STEP_S)


class Process:
    """A program of the session: its own process group, output in a file. Not made directly: use
    Session.start(). With `strays` (a list), whatever of its group outlives it is noted there."""

    def __init__(self, name, argv, log, env, net_of=None, strays=None, **popen):
        self.name = name
        self._strays = strays
        self.log_path = pathlib.Path(log)
        if net_of is not None:
            argv = [tool("nsenter", "util-linux"), f"--net=/proc/{net_of}/ns/net", *argv]
        with open(self.log_path, "ab") as out:
            popen.setdefault("stdin", subprocess.DEVNULL)
            popen.setdefault("stdout", out)
            popen.setdefault("stderr", out)
            self.popen = subprocess.Popen(
                [str(a) for a in argv], env=env, start_new_session=True,
                preexec_fn=_die_with_parent, **popen)
        self.pid = self.popen.pid

    def alive(self):
        return self.popen.poll() is None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def send(self, number):
        """To this process alone, if it still runs."""
        if self.alive():
            os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, timeout=10):
        """Ends it, by SIGKILL when it does not obey in time, and then what is left of its group;
        returns the exit code (negative: signal)."""
        if self.alive():
            os.kill(self.pid, signal.SIGCONT)
            os.kill(self.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.popen.wait(timeout)
            self.popen.kill()
            self.popen.wait()
            self._end_group()
        return self.popen.returncode

    def kill(self):
        return self.stop(signal.SIGKILL)

    def _end_group(self):
        if self._strays is not None:
            with contextlib.suppress(Timeout):
                wait_until(lambda: not group_members(self.pid), 3, f"children of {self.name} end")
            self._strays += [f"process {pid}, which outlived {self.name}: {command_of(pid)}"
                             for pid in group_members(self.pid)]
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)


class Session:
    """Owner of everything that one test module starts. A context manager; also ends at exit."""

    def __init__(self):
        self._ends = contextlib.ExitStack()
        self._logs = {}
        self.last_lines = {}  # of each log, once closed: for whoever reports a failure
        self._strays = []
        with _interrupts(later=True):
            base = os.environ.get("RDL_TMP", "/tmp")
            self.dir = pathlib.Path(tempfile.mkdtemp(prefix="rdl-", dir=base))
            self.id = self.dir.name
            atexit.register(self.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def path(self, name):
        return str(self.dir / name)

    def env(self, **extra):
        return {**os.environ, "RDL_SESSION": self.id, **extra}

    def start(self, name, argv, env=None, tidy=False, **options):
        """Starts a program; `net_of` is a process whose network namespace it gets. Its output goes
        to a file that is shown when the module fails. `tidy` programs must end with all they
        started: what they leave behind fails the module."""
        if tidy:
            options["strays"] = self._strays
        log = self._logs.setdefault(name, self.dir / f"{name}.log")
        with _interrupts(later=True):
            process = Process(name, argv, log, self.env(**(env or {})), **options)
            self._ends.callback(process.stop, timeout=5)
        return process

    def at_end(self, function, *args, **kwargs):
        """Runs before what was started or registered earlier is ended."""
        self._ends.callback(function, *args, **kwargs)

    def close(self):
        """Ends everything and removes the directory; again is fine."""
        atexit.unregister(self.close)
        with _interrupts(later=False):
            self._ends.close()
            self._sweep()
            self._keep_last_lines()
            shutil.rmtree(self.dir, ignore_errors=True)

    def _sweep(self):
        """Kills what was not ended by its owner; that it was there is a failure to be shown."""
        with contextlib.suppress(Timeout):
            wait_until(lambda: not self._marked(), 3, "everything has ended")
        for pid in self._marked():
            self._strays.append(f"process {pid}, which nobody ended: {command_of(pid)}")
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _keep_last_lines(self, lines=60):
        for name, path in self._logs.items():
            if path.exists():
                self.last_lines[name] = path.read_text(errors="replace").splitlines()[-lines:]

    def leftovers(self):
        """What still exists of a closed session, as text; empty when all is well. Waits a moment
        for what is already dying."""
        try:
            wait_until(lambda: not self._traces(), 5, "the session's traces are gone")
            return self._strays
        except Timeout:
            return self._strays + self._traces()

    def _marked(self):
        return pids_with(f"RDL_SESSION={self.id}".encode())

    def _traces(self):
        traces = [f"process {pid}: {command_of(pid)}" for pid in self._marked()]
        mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        traces += [f"mount {line}" for line in mounts if self.id in line]
        traces += [f"control group {path}" for path in cgroups_named(self.id)]
        if self.dir.exists():
            traces.append(f"directory {self.dir}")
        return traces


def group_members(leader):
    """The processes of that process group which still run."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                state, _, group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
                if int(group) == leader and state != "Z":
                    found.append(int(entry.name))
    return found


def cgroups_named(name):
    """Control groups of that name, in each hierarchy that is mounted (v1 and v2)."""
    base = pathlib.Path("/sys/fs/cgroup")
    return [p for p in (base / name, *base.glob(f"*/{name}")) if p.is_dir()]


def remove_cgroups(name):
    """Removes the control groups of that name once what was in them is gone."""
    def removed():
        for top in cgroups_named(name):
            for path, _, _ in os.walk(top, topdown=False):
                os.rmdir(path)
        return True
    wait_until(removed, 10, f"control groups {name} are removed")


def pids_with(mark):
    """Processes, other than this one, whose environment has the entry `mark` (bytes)."""
    found = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


def main(module="__main__"):
    """Runs the module's tests, then shows that nothing is left of their session(s). The exit code
    is ctest's: 0, 1, or SKIP with the reason printed."""
    sessions = _record_sessions()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    result = unittest.main(module=module, exit=False, verbosity=2).result
    for session in sessions:
        session.close()
    left = [trace for session in sessions for trace in session.leftovers()]
    if left or not result.wasSuccessful():
        for session in sessions:
            for name, lines in session.last_lines.items():
                print(f"--- last lines of {name}", *lines, sep="\n", file=sys.stderr)
        for trace in left:
            print(f"LEFT BEHIND: {trace}", file=sys.stderr)
        sys.exit(1)
    if result.testsRun == len(result.skipped) or result.testsRun == 0:
        for test, why in result.skipped:
            print(f"skipped: {test}: {why}")
        sys.exit(SKIP)
    sys.exit(0)


def _record_sessions():
    """The list that each new Session joins from now on."""
    sessions = []
    original = Session.__init__

    def recording(self):
        original(self)
        sessions.append(self)

    Session.__init__ = recording
    return sessions


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def children_of(pid):
    try:
        children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in children.split()]
    except OSError:
        return []


def is_running(pid):
    """It exists and is no zombie."""
    return state_of(pid) not in ("", "Z")


def state_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


def descriptors_of(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def command_of(pid):
    try:
        words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return b" ".join(words).decode(errors="replace").strip()
    except OSError:
        return "(gone)"


@contextlib.contextmanager
def _interrupts(later):
    """Keeps Ctrl-C and SIGTERM from cutting a block in two: they act when it is over (`later`), or,
    during the clean-up that they asked for anyway, never."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    old = {n: signal.signal(n, lambda number, frame: came.append(number)) for n in numbers}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)
    if later:
        for number in came:
            signal.raise_signal(number)
