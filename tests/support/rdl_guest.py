# SPDX-License-Identifier: Apache-2.0
"""A guest on this machine: namespaces that stand in for the virtual machine, and a real docker
engine inside them.

                         harness's namespaces | guest: pid, mount, network, ipc of its own
   docker CLI -> rdlinkd -> DIR/vm1.vsock ----|--> rdlink-agent -> DIR/docker.sock <- dockerd

The agent joins only the guest's network namespace, so its pid is a plain one here; the engine
joins all of them. Files are shared through the session's directory, as a unix socket stands in for
vsock. Process 1 of the guest is guest_init.py.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

import rdl
import rdl_http

INIT = pathlib.Path(__file__).with_name("guest_init.py")


class Guest:
    """The namespaces. `pid` is its process 1, as seen from here."""

    def __init__(self, session):
        if os.geteuid() != 0:
            raise rdl.Skip("a guest needs root: namespaces, mounts and control groups")
        self.session = session
        # Of an engine's containers: the one thing that outlives the namespaces, so it goes last.
        session.at_end(rdl.remove_cgroups, session.id)
        self._unshare = session.start(
            "guest-init",
            [rdl.tool("unshare", "util-linux"), "--fork", "--kill-child=SIGKILL", "--pid",
             "--mount", "--net", "--ipc", "--mount-proc", sys.executable, "-B", INIT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        if self._unshare.popen.stdout.readline() != b"ready\n":
            raise rdl.Skip(f"this kernel gives no guest: {self._unshare.log().strip()}")
        self.pid = rdl.children_of(self._unshare.pid)[0]
        session.at_end(self.close)

    def start(self, name, argv, **options):
        """A program inside the guest, in all its namespaces. nsenter stays outside as its parent;
        .pid is the program itself."""
        nsenter = [rdl.tool("nsenter", "util-linux"), f"--target={self.pid}", "--pid", "--mount",
                   "--net", "--ipc"]
        pdeath = [rdl.tool("setpriv", "util-linux"), "--pdeathsig", "KILL"]
        process = self.session.start(name, [*nsenter, *pdeath, *argv], **options)
        rdl.wait_until(lambda: rdl.children_of(process.pid) or not process.alive(), 5,
                       f"{name} forks")
        program = InGuest(process)
        # By its own pid: an nsenter that dies first would leave a zombie in the guest, which holds
        # up the guest's end until some distant parent reaps it.
        self.session.at_end(program.stop, signal.SIGKILL)
        return program

    def close(self):
        """Ends the guest: closing the input of process 1 ends it, and the kernel the rest."""
        self._unshare.popen.stdin.close()
        self._unshare.popen.stdout.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._unshare.popen.wait(5)
        self._unshare.kill()


class InGuest:
    """A program that runs inside the guest; signals go to it and not to nsenter."""

    def __init__(self, process):
        self._process = process
        self.log = process.log
        self.alive = process.alive
        self.pid = next(iter(rdl.children_of(process.pid)), 0)

    def send(self, number):
        if self.pid and self.alive():
            os.kill(self.pid, number)

    def wake(self):
        """After SIGSTOP: nsenter stopped itself, too, and wakes its child when it goes on."""
        self.send(signal.SIGCONT)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGCONT)

    def stop(self, number=signal.SIGTERM, timeout=15):
        self.send(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.popen.wait(timeout)
        return self._process.kill()


class Engine:
    """dockerd in a guest, answering on `socket`. Restartable; images and containers survive."""

    def __init__(self, guest):
        self.guest = guest
        self.session = guest.session
        self.socket = self.session.path("docker.sock")
        self.refused = []  # what the kernel did not allow, one line each
        self._dockerd = rdl.tool("dockerd", "docker.io")
        self._ways = [
            ("overlay2, bridge and iptables", ["--storage-driver=overlay2"]),
            ("overlay2 without a network",
             ["--storage-driver=overlay2", "--bridge=none", "--iptables=false"]),
            ("vfs without a network",
             ["--storage-driver=vfs", "--bridge=none", "--iptables=false"]),
        ]
        self.process = None
        self.start()

    @property
    def how(self):
        return self._ways[0][0]

    def start(self):
        """Starts dockerd and waits until it answers. A way the kernel refuses is noted in `refused`
        and the next one is taken."""
        while self._ways:
            began = time.monotonic()
            self.process = self.guest.start("dockerd", [
                self._dockerd, "--data-root", self.session.path("engine"),
                "-H", f"unix://{self.socket}",
                "--group", "root", "--log-level", "warn",
                "--cgroup-parent", f"/{self.session.id}", *self._ways[0][1]])
            rdl.wait_until(lambda: self.answers() or not self.process.alive(), 60,
                           "dockerd answers")
            if self.process.alive():
                return time.monotonic() - began
            why = _last_error(self.process.log())
            self.refused.append(f"dockerd with {self._ways[0][0]}: {why}")
            self._ways.pop(0)
        raise rdl.Skip("dockerd does not start here: " + "; ".join(self.refused))

    def answers(self):
        try:
            return rdl_http.request(self.socket, "GET", "/_ping", timeout=2).status == 200
        except OSError:
            return False

    def stop(self, number=signal.SIGTERM):
        return self.process.stop(number)


def _last_error(log):
    lines = log.splitlines()
    fatal = [line for line in lines if "failed to start" in line]
    return (fatal or lines or ["no output"])[-1].rpartition("failed to start daemon: ")[2][:200]
