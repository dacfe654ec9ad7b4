# SPDX-License-Identifier: Apache-2.0
"""./dev up [--once]: the main job on this machine, by real parts.

Makes a guest (namespaces), starts a real docker engine in it, the agent beside it, rdlinkd in front
of it, waits for Ready, runs a container through the whole chain, shows the status, and stays until
Ctrl-C; with --once it ends by itself, 0 when all of it worked. What the kernel refuses is said and
the rest goes on. However it ends, nothing is left behind: see tests/support/rdl.py.
"""

import argparse
import pathlib
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import rdl
import rdl_guest
import rdl_http
import rdl_link


class Up:
    """The steps, in order. `failed` collects what did not work, one line each."""

    def __init__(self, session):
        self.session = session
        self.failed = []
        self.engine = None
        self.guest_pid = None
        self.agent = None
        self.host = None

    def say(self, step, text):
        print(f"up: {step:<10} {text}", flush=True)

    def fail(self, step, why):
        self.failed.append(step)
        self.say(step, f"REFUSED: {why}")

    def run(self):
        self.say("directory", self.session.dir)
        self.start_engine()
        self.start_link()
        if self.engine:
            self.wait_ready()
            self.run_container()
        self.show_status()

    def start_engine(self):
        began = time.monotonic()
        try:
            guest = rdl_guest.Guest(self.session)
        except rdl.Skip as why:
            self.fail("guest", why)
            return
        self.guest_pid = guest.pid
        self.say("guest", f"network, mount, pid and ipc namespaces of process {guest.pid}")
        try:
            self.engine = rdl_guest.Engine(guest)
        except rdl.Skip as why:
            self.fail("engine", why)
            return
        for refused in self.engine.refused:
            self.say("engine", f"REFUSED: {refused}; going on without")
        version = rdl_http.request(self.engine.socket, "GET", "/version").json()["Version"]
        self.say("engine", f"dockerd {version} ({self.engine.how}) after "
                           f"{time.monotonic() - began:.1f} s")

    def start_link(self):
        target = self.session.path("docker.sock")
        self.agent = rdl_link.Agent(self.session, target, net_of=self.guest_pid)
        self.say("agent", f"rdlink-agent {self.agent.process.pid}: {self.agent.vsock} -> {target}")
        self.host = rdl_link.Host(self.session)
        self.say("rdlinkd", f"controller {self.host.process.pid}, "
                            f"docker worker {self.host.worker()['pid']}: {self.host.endpoint}")

    def wait_ready(self):
        began = time.monotonic()
        try:
            rdl.wait_until(lambda: self.host.status()["ready"], 30, "rdlinkd is Ready")
            self.say("ready", f"after {time.monotonic() - began:.1f} s")
        except rdl.Timeout as why:
            self.fail("ready", why)

    def run_container(self):
        docker = rdl_link.Docker(self.session, self.host.endpoint)
        command = ["run", "--rm", rdl_link.IMAGE, "echo", "hello from a container behind rdlink"]
        try:
            docker.import_image()
            self.say("container", f"docker -H unix://{self.host.endpoint} {' '.join(command)}")
            print(docker.text(*command), end="", flush=True)
        except (AssertionError, subprocess.TimeoutExpired) as why:
            self.fail("container", why)

    def show_status(self):
        self.say("status", f"rdlink status --address unix:{self.host.status_socket}")
        shown = subprocess.run([rdl.binary("rdlink"), "status", "--address",
                                f"unix:{self.host.status_socket}"], timeout=20)
        if shown.returncode != 0:
            self.failed.append("status")

    def stay(self):
        print(f"""
Use it from another terminal (as root):
    export DOCKER_HOST=unix://{self.host.endpoint}
    docker ps
    {rdl.binary("rdlink")} status --address unix:{self.host.status_socket}
Logs are in {self.session.dir}. Ctrl-C ends everything.""", flush=True)
        parts = {"rdlink-agent": self.agent.process, "rdlinkd": self.host.process}
        if self.engine:
            parts["dockerd"] = self.engine.process
        while all(part.alive() for part in parts.values()):
            time.sleep(0.2)
        for name in (name for name, part in parts.items() if not part.alive()):
            self.fail(name, f"ended by itself: {parts[name].log()[-500:]}")


def main():
    options = argparse.ArgumentParser(prog="./dev up", description=__doc__.splitlines()[0])
    options.add_argument("--once", action="store_true", help="end when the container has run")
    once = options.parse_args().once
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda n, frame: sys.exit(128 + n))
    ready = False
    try:
        with rdl.Session() as session:
            up = Up(session)
            up.run()
            ready = not up.failed
            if not once:
                up.stay()
    except KeyboardInterrupt:
        print("\nup: interrupted", flush=True)
        sys.exit(0 if ready else 128 + signal.SIGINT)
    except rdl.Timeout as why:
        print(f"up: failed: {why}", file=sys.stderr)
        sys.exit(1)
    if up.failed:
        print(f"up: did not work: {', '.join(up.failed)}", file=sys.stderr)
    sys.exit(1 if up.failed else 0)


if __name__ == "__main__":
    main()
