# SPDX-License-Identifier: Apache-2.0
"""rdlink's own programs around a guest, and the docker CLI in front of them.

`Stack` is the whole chain of ARCHITECTURE.md's first flow, made of real parts:

   Docker (CLI) -> endpoint -> rdlinkd's docker worker -> vm1.vsock -> rdlink-agent -> docker.sock
"""

import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tarfile
import time

import rdl
import rdl_guest
import rdl_http

IMAGE = "rdl/busybox:1"


class Agent:
    """`rdlink-agent bridge` in the network namespace of a guest (or here, without one)."""

    def __init__(self, session, target, net_of=None, vm="vm1", wrapper=(), programs=None,
                 options=(), machine=None):
        """With a `machine` (rdl_vm.py) it is one of several programs of the guest."""
        self.session = session
        self.vsock = session.path(f"{vm}.vsock")
        at = ["--listen", f"vsock-hybrid:{self.vsock}"]
        if machine:
            at = ["--listen", machine.listen_at(6660), "--control", machine.listen_at(6680)]
            self.vsock = machine.listen_at(6660).removeprefix("unix:")
        self._argv = [*wrapper, rdl.binary("rdlink-agent", programs), "bridge", *at,
                      "--target", f"unix:{target}",
                      "--target-owner", str(os.getuid()), *options]
        self._net_of = net_of
        self.process = None
        self.start()

    def start(self):
        self.process = self.session.start("rdlink-agent", self._argv, net_of=self._net_of,
                                          tidy=True)
        rdl.wait_until(lambda: self.listens() or not self.process.alive(), 20,
                       "rdlink-agent listens")
        if not self.process.alive():
            raise AssertionError(f"rdlink-agent ended: {self.process.log()}")

    def listens(self):
        with rdl_http.connect(self.vsock, 1):
            return True


class NetAgent:
    """`rdlink-agent net` inside a guest with a mount namespace of its own (rdl_guest.Guest)."""

    def __init__(self, guest, machine, options=(), wrapper=()):
        self.process = guest.start("rdlink-agent-net", [
            *wrapper, rdl.binary("rdlink-agent"), "net", "--control", machine.listen_at(6681),
            "--host-base", f"vsock-hybrid:{machine.path}", "--handshake", "none",
            "--netns", "host", "--no-veth", *options])


class Relay:
    """`rdlink-agent relay` in that guest; a NetAgent finds it by its `options`."""

    def __init__(self, guest):
        self.address = f"unix:{guest.session.path('relay.sock')}"
        self.options = ("--relay", self.address)
        self._guest = guest
        self.start()

    def start(self):
        self.process = self._guest.start("rdlink-agent-relay", [
            rdl.binary("rdlink-agent"), "relay", "--listen", self.address])


class Host:
    """`rdlinkd run`: the controller and its docker worker."""

    def __init__(self, session, name=None, endpoint=None, wrapper=(), programs=None, options=()):
        self.session = session
        folder = session.dir / (name or "")  # a second one has machines and names of its own
        folder.mkdir(exist_ok=True)
        self.log_name = "-".join(filter(None, ("rdlinkd", name)))
        self.endpoint = endpoint or str(folder / "docker-host.sock")
        self.fallback = str(folder / "docker-fallback.sock")
        self.status_socket = str(folder / "status.sock")
        self.control_socket = str(folder / "control.sock")
        self._argv = [*wrapper, rdl.binary("rdlinkd", programs), "run",
                      "--vm-folder", str(folder),
                      "--endpoint", f"unix:{self.endpoint}",
                      "--endpoint-fallback", f"unix:{self.fallback}",
                      "--status", f"unix:{self.status_socket}",
                      "--control", f"unix:{self.control_socket}",
                      "--config-root", str(folder / "etc"),  # not what this machine has
                      *options]
        self.process = None
        self.start()

    def start(self):
        self.process = self.session.start(self.log_name, self._argv, tidy=True)
        rdl.wait_until(lambda: self.answers() or not self.process.alive(), 20,
                       "rdlinkd shows its status")
        if not self.process.alive():
            raise AssertionError(f"rdlinkd ended: {self.process.log()}")

    def answers(self):
        return rdl_http.request(self.status_socket, "GET", "/v1/status").status == 200

    def status(self):
        return rdl_http.request(self.status_socket, "GET", "/v1/status").json()

    def worker(self, name="docker"):
        """What the status says about one worker."""
        return next(c for c in self.status()["components"] if c["name"] == name)

    def serves(self):
        """A request goes all the way to the engine and back."""
        return rdl_http.request(self.endpoint, "GET", "/_ping").status == 200

    def wait_serving(self, timeout=20):
        """Seconds until a request is served."""
        began = time.monotonic()
        rdl.wait_until(self.serves, timeout, "the endpoint serves")
        return time.monotonic() - began


class Docker:
    """The docker CLI against one socket. Debian's own comes with its docker.io; another one in
    PATH will do."""

    def __init__(self, session, socket):
        self.session = session
        self.socket = socket
        self.program = "/usr/bin/docker" if os.access("/usr/bin/docker", os.X_OK) else \
            rdl.tool("docker", "docker.io")
        self.env = session.env(DOCKER_HOST=f"unix://{socket}", DOCKER_BUILDKIT="0",
                               DOCKER_CONFIG=session.path("docker-config"))

    def run(self, *args, timeout=60, check=True, stdin=None, **options):
        """`docker ARGS`; killed (not asked) at the timeout, because attached clients pass signals
        on to their container. `input` gives its standard input."""
        if "input" not in options:
            options["stdin"] = stdin or subprocess.DEVNULL
        done = subprocess.run([self.program, *args], env=self.env, timeout=timeout,
                              capture_output=True, **options)
        if check and done.returncode != 0:
            raise AssertionError(f"docker {' '.join(args)}: exit {done.returncode}: "
                                 f"{done.stderr.decode(errors='replace').strip()}")
        return done

    def text(self, *args, **options):
        return self.run(*args, **options).stdout.decode()

    def start(self, *args, **options):
        """A client that keeps running; ends with the session at the latest."""
        return self.session.start("docker-cli", [self.program, *args], env=self.env, **options)

    def import_image(self):
        """IMAGE from the machine's static busybox; no registry is asked."""
        self.run("import", "-", IMAGE, input=busybox_image())


class Stack:
    """Guest, engine, agent and host, with the image imported through the whole chain."""

    def __init__(self, session):
        self.session = session
        self.guest = rdl_guest.Guest(session)
        self.engine = rdl_guest.Engine(self.guest)
        self.agent = Agent(session, self.engine.socket, net_of=self.guest.pid)
        self.host = Host(session)
        self.host.wait_serving()
        self.docker = Docker(session, self.host.endpoint)
        self.docker.import_image()


def busybox_image():
    """A root file system as tar: static busybox and a link for each of its applets."""
    busybox = pathlib.Path(rdl.tool("busybox", "busybox-static"))
    applets = subprocess.run([busybox, "--list"], capture_output=True, text=True, check=True)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name in ("bin", "tmp", "etc", "proc", "sys", "dev"):
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(directory)
        tar.add(busybox.resolve(), "bin/busybox")
        for name in sorted(set(applets.stdout.split()) - {"busybox"}):
            link = tarfile.TarInfo(f"bin/{name}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return out.getvalue()
