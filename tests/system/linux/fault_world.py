# SPDX-License-Identifier: Apache-2.0
"""The whole of rdlink, running, with a handle on everything that can break: what fault_matrix.py
breaks.

    traffic -> endpoint -> rdlinkd -> machines/vmN.vsock -> rdlink-agent bridge -> dockerd
    traffic <- loopback <- switch worker <- link.vsock_6658 <- rdlink-agent net <- eth0 <- traffic

dockerd, both agents and eth0 are a guest's (rdl_guest.py). The data link passes a relay of the
test, which can cut it; control channels and docker's streams pass rdl_vm.Machine. A `Unit` stands
for systemd in the guest and on the host: what dies is started again, RestartSec later. rdlinkd
writes its log on a small disk of its own, and every program of ours has support/fault_shim.c in
it.
"""

import contextlib
import os
import pathlib
import re
import signal
import struct
import threading
import time

import rancher_host
import rdl
import rdl_guest
import rdl_link
import rdl_net
import rdl_traffic
import rdl_vm

DATA_PORT_V2 = 6658
DISK_MIB = 16


def restart_seconds():
    """RestartSec of the guest's units."""
    unit = (rdl.ROOT / "guestagent/dist/rdlink-bridge.service").read_text()
    return float(re.search(r"^RestartSec=(\d+)$", unit, re.MULTILINE).group(1))


class Unit:
    """Keeps a program running, as systemd does with Restart=always. `make()` starts it and returns
    something with .process. A thread of its own starts it: see rdl.py about the parent's death."""

    def __init__(self, make):
        self._make = make
        self._after_s = restart_seconds()
        self._wanted, self._over = threading.Event(), threading.Event()
        self.program = None
        self.failure = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self.start()

    @property
    def pid(self):
        return self.program.process.pid

    def start(self):
        """It runs when this returns."""
        self._wanted.set()
        rdl.wait_until(lambda: self.failure or self.runs(), 30, "the unit runs")
        if self.failure:
            raise self.failure

    def runs(self):
        return self.program is not None and self.program.process.alive()

    def stop(self, number=signal.SIGTERM):
        """It does not run, and is not started again before start()."""
        self._wanted.clear()
        if self.program:
            self.program.process.stop(number)

    def close(self):
        self.stop()
        self._over.set()
        self._wanted.set()
        self._thread.join()

    def _run(self):
        while not self._over.is_set() and not self.failure:
            self._wanted.wait()
            if not self._over.is_set():
                self._start_one()
            while self.runs():
                time.sleep(0.01)
            if self._wanted.is_set():
                self._over.wait(self._after_s)

    def _start_one(self):
        try:
            self.program = self._make()
        except (AssertionError, OSError) as failure:
            self.failure = failure


class Shim:
    """support/fault_shim.c in each of our programs: their wall clock, and an end by exit(1)."""

    def __init__(self, session):
        self._path = pathlib.Path(session.path("faults"))
        self._shift_s = 0
        self._write(0)
        options = [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]
        self.wrapper = ["env", f"LD_PRELOAD={rdl_net.helper('fault_shim.so')}",
                        f"RDL_FAULTS={self._path}",
                        f"ASAN_OPTIONS={':'.join(filter(None, options))}"]

    def _write(self, exit_pid):
        with open(self._path, "r+b" if self._path.exists() else "wb") as f:
            f.write(struct.pack("=qq", self._shift_s, exit_pid))

    def jump(self, hours):
        """Forward, and the next time back."""
        self._shift_s = 0 if self._shift_s else hours * 3600
        self._write(0)

    def exit_1(self, pid):
        self._write(pid)
        rdl.wait_until(lambda: not rdl.is_running(pid), 5, "it ends by exit(1)", every=0.002)
        self._write(0)


class NoMemory:
    """A control group without a byte of memory: the kernel's OOM killer ends who is put there as
    soon as it needs a page."""

    def __init__(self, session):
        base = pathlib.Path("/sys/fs/cgroup")
        v1 = base / "memory"
        self._folder = (v1 if v1.is_dir() else base) / session.id / "no-memory"
        session.at_end(rdl.remove_cgroups, session.id)
        try:
            if not v1.is_dir():
                (base / "cgroup.subtree_control").write_text("+memory")
                self._folder.parent.mkdir(exist_ok=True)
                (self._folder.parent / "cgroup.subtree_control").write_text("+memory")
            self._folder.mkdir(parents=True, exist_ok=True)
            limit = "memory.limit_in_bytes" if v1.is_dir() else "memory.max"
            (self._folder / limit).write_text("0")
        except OSError as why:
            raise rdl.Skip(f"this kernel gives no control group of memory: {why}") from None

    def kill(self, pid):
        (self._folder / "cgroup.procs").write_text(str(pid))
        rdl.wait_until(lambda: not rdl.is_running(pid), 20, "the OOM killer ends it", every=0.002)


class World:
    """Everything, from the start to close()."""

    def __init__(self, session):
        self.session = session
        self.folder = pathlib.Path(session.path("machines"))
        self.folder.mkdir()
        self.log_folder = pathlib.Path(session.path("logs"))
        self.log_folder.mkdir()
        self.shim = Shim(session)
        self.guest = rdl_guest.Guest(session)
        self.engine = rdl_guest.Engine(self.guest)
        self.no_memory = NoMemory(session)
        self.number = 0
        self.link = rancher_host.Relay(session.path("link.vsock"), DATA_PORT_V2, "")
        session.at_end(self.link.close)
        self.make_machine()
        self.show_machine()
        session.at_end(lambda: self.machine.close())
        self.bridge = self._unit(lambda: rdl_link.Agent(
            session, self.engine.socket, net_of=self.guest.pid, wrapper=self.shim.wrapper,
            machine=self.machine))
        self.net = self._unit(lambda: rdl_link.NetAgent(
            self.guest, self.machine, wrapper=self.shim.wrapper,
            options=["--host-base", f"vsock-hybrid:{session.path('link.vsock')}"]))
        self.host = None
        self.controller = self._unit(self._start_host)
        self.traffic = rdl_traffic.Traffic(self.host, self._open_socket)
        session.at_end(self.traffic.close)

    def _unit(self, make):
        unit = Unit(make)
        self.session.at_end(unit.close)
        return unit

    def _start_host(self):
        if self.host:
            self.host.start()
        else:
            self.host = rdl_link.Host(self.session, options=self.host_options, wrapper=[
                *self.shim.wrapper, rdl.tool("unshare", "util-linux"), "--mount", "sh", "-c",
                f"mount -t tmpfs -o size={DISK_MIB}m none {self.log_folder} && exec \"$@\"", "sh"])
        return self.host

    @property
    def host_options(self):
        return ["--vm-folder", str(self.folder), "--log-dir", str(self.log_folder),
                "--log-max-size", "1", "--log-keep", "2"]

    def _open_socket(self, *args, timeout):
        return rdl_net.socket_in(self.guest.pid, *args, timeout=timeout)

    def make_machine(self):
        """A virtual machine under an id that there never was. The host does not see it yet."""
        self.number += 1
        self.machine = rdl_vm.Machine(self.session.path(f"vm{self.number}.vsock"))

    def show_machine(self):
        seen_at = self.folder / f"vm{self.number}.vsock"
        self.link.lead_to(f"{seen_at}_{DATA_PORT_V2}")
        self.machine.appear(seen_at)

    # ---- what the host says

    def condition(self, name):
        return next(c for c in self.host.status()["conditions"] if c["type"] == name)

    def worker(self, kind):
        """Of the status: "docker", or the "switch" of the machine there is."""
        return next(c for c in self.host.status()["components"] if c["name"].startswith(kind))

    def agents_serve(self):
        """The host has heard so from both units."""
        instances = self.host.status()["instances"]
        return len(instances) == 1 and all(
            unit and unit["serving"] for unit in (instances[0]["agent"], instances[0]["netAgent"]))

    def logs_a_line(self):
        """The service logs that it reads its configuration."""
        os.kill(self.controller.pid, signal.SIGHUP)
        return True

    # ---- what there is of each

    def restarts(self):
        """{(component, controller): count}"""
        return {(c["name"], self.controller.pid): c["restarts"]
                for c in self.host.status()["components"]}

    def processes(self):
        """How many of each program of ours there are: by its name and its first words."""
        counts = dict.fromkeys(("rdlinkd run", "rdlinkd --worker docker",
                                "rdlinkd --worker switch", "rdlink-agent bridge",
                                "rdlink-agent net"), 0)
        for pid in rdl.pids_with(f"RDL_SESSION={self.session.id}".encode()):
            words = rdl.command_of(pid).split()
            if words and rdl.is_running(pid):
                said = " ".join([os.path.basename(words[0]), *words[1:3]])
                for kind in counts:
                    counts[kind] += said.startswith(kind)
        return counts

    def trouble(self):
        """What of it does not even run, for whoever reports a failure."""
        units = {"bridge": self.bridge, "net": self.net, "controller": self.controller}
        return ", ".join(f"{name}: {unit.failure or 'does not run'}" for name, unit in units.items()
                         if unit.failure or not unit.runs()) or "all units run"

    def pids(self):
        """Of each process that runs all the time."""
        return {"controller": self.controller.pid, "docker worker": self.worker("docker")["pid"],
                "switch worker": self.worker("switch")["pid"], "bridge": self.bridge.pid,
                "net": self.net.pid}

    def descriptors(self):
        """How many each of them has open."""
        return {kind: rdl.descriptors_of(pid) for kind, pid in self.pids().items()}

    def cpu_seconds(self):
        """What each of them has used."""
        return {kind: _cpu_seconds(pid) for kind, pid in self.pids().items()}

    # ---- the disk of the log, as the controller sees it

    def fill_disk(self):
        filler = self._disk() / "filler"
        with contextlib.suppress(OSError), open(filler, "wb", buffering=0) as f:
            while True:
                f.write(bytes(4096))

    def free_disk(self):
        (self._disk() / "filler").unlink()

    def _disk(self):
        return pathlib.Path(f"/proc/{self.controller.pid}/root{self.log_folder}")

    # ---- everything at once

    def jump_clock(self, hours):
        """Until the service has seen it, which looks twice a second."""
        seen = self._wakes()
        self.shim.jump(hours)
        rdl.wait_until(lambda: self._wakes() > seen, 5, "the service sees another time of day",
                       every=0.01)

    def _wakes(self):
        return self.host.process.log().count("every guest is looked at now")

    @contextlib.contextmanager
    def all_stopped(self):
        """Host and guest stand still, the engine too: the computer sleeps, and nobody is told."""
        pids = rdl.pids_with(f"RDL_SESSION={self.session.id}".encode())
        # nsenter stops itself when it sees its child stopped. Stopped by us as well, between the
        # two, it would stop once more when it goes on, and never tell of its child's end.
        parents = [pid for pid in pids if rdl.command_of(pid).partition(" ")[0].endswith("nsenter")]
        others = [pid for pid in pids if pid not in parents]
        try:
            for pid in others:
                _signal(pid, signal.SIGSTOP)
            rdl.wait_until(lambda: {rdl.state_of(pid) for pid in pids} <= {"T", "Z", ""}, 5,
                           "everything stands still")
            yield
        finally:
            for pid in (*others, *parents):
                _signal(pid, signal.SIGCONT)


def _cpu_seconds(pid):
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def _signal(pid, number):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
