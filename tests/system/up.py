# SPDX-License-Identifier: Apache-2.0
"""./dev up [--once]: the main job on this machine, by real parts.

Makes a guest (namespaces), starts a real docker engine in it, the agent's two units beside it,
rdlinkd in front of it, waits for Ready, runs a container through the whole chain, then one that
pulls a page from a server of this machine by name, and one whose published port this machine
reaches, all over the guest's only network, the host switch. Shows the status, and stays until
Ctrl-C; with --once it ends by itself, 0 when all of it worked. What the kernel refuses is said and
the rest goes on. However it ends, nothing is left behind: see tests/support/rdl.py.
"""

import argparse
import functools
import http.server
import json
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import rdl
import rdl_guest
import rdl_http
import rdl_link
import rdl_vm

PAGE = "a page of the host, fetched by name\n"
API = "http://gateway.rancher-desktop.internal/services/forwarder"


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Its log would be mixed into ours."""

    def log_message(self, *words):
        pass


def fetch(url):
    with urllib.request.urlopen(url, timeout=2) as page:
        return page.read().decode()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Up:
    """The steps, in order. `failed` collects what did not work, one line each."""

    def __init__(self, session):
        self.session = session
        self.failed = []
        self.engine = None
        self.guest_pid = None
        self.agent = None
        self.net = None
        self.host = None
        self.docker = None

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
            self.try_step("container", self.run_container)
            self.try_step("page", self.fetch_page)
            self.try_step("published", self.reach_published)
        self.show_status()

    def try_step(self, step, do):
        try:
            do()
        except (AssertionError, OSError, subprocess.TimeoutExpired) as why:
            self.fail(step, why)

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
        machine = rdl_vm.Machine(self.session.path("vm1.vsock"))
        self.session.at_end(machine.close)
        self.agent = rdl_link.Agent(self.session, target, net_of=self.guest_pid, machine=machine)
        self.say("agent", f"rdlink-agent bridge {self.agent.process.pid}: "
                          f"{machine.path} -> {target}")
        if self.engine:
            self.net = rdl_link.NetAgent(self.engine.guest, machine)
            self.say("net", f"rdlink-agent net {self.net.process.pid}: the guest's eth0")
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

    def show_run(self, step, *command, network=()):
        """`docker run` of one command, shown with what it says."""
        words = ["run", "--rm", *network, rdl_link.IMAGE, *command]
        self.say(step, f"docker -H unix://{self.host.endpoint} {' '.join(words)}")
        out = self.docker.text(*words)
        print(out, end="", flush=True)
        return out

    def run_container(self):
        self.docker = rdl_link.Docker(self.session, self.host.endpoint)
        self.docker.import_image()
        self.show_run("container", "echo", "hello from a container behind rdlink")

    def fetch_page(self):
        """From a server on this machine's loopback, by the name that containers know it by."""
        folder = pathlib.Path(self.session.path("pages"))
        folder.mkdir()
        (folder / "page").write_text(PAGE)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(
            Quiet, directory=folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            url = f"http://host.docker.internal:{server.server_port}/page"
            if self.show_run("page", "wget", "-q", "-O-", url, network=self.network()) != PAGE:
                raise AssertionError("another page came")
        finally:
            server.shutdown()
            server.server_close()

    def reach_published(self):
        """A container's published port, as the agent hears of it from the engine; where there is
        no bridge nothing can be published, and the gateway's API is asked instead."""
        bridged = not self.network()
        port = free_port()
        self.docker.run("run", "-d", *(("-p", f"{port}:80") if bridged else self.network()),
                        rdl_link.IMAGE, "sh", "-c",
                        "echo published > /tmp/index.html; "
                        f"exec httpd -f -p {80 if bridged else port} -h /tmp")
        local = f"127.0.0.1:{port}"
        if not bridged:
            wanted = json.dumps({"local": local, "remote": f"192.168.127.2:{port}",
                                 "protocol": "tcp"})
            self.show_run("published", "wget", "-q", "-O-", f"--post-data={wanted}",
                          f"{API}/expose", network=("--network", "host"))
        text = rdl.wait_until(lambda: fetch(f"http://{local}/"), 10, "the published port answers")
        self.say("published", f"http://{local}/ says: {text.strip()}")

    def network(self):
        """Where the kernel refused the engine a bridge, containers use the guest's own network."""
        return () if "bridge" in self.engine.how else ("--network", "host")

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
        if self.net:
            parts["rdlink-agent net"] = self.net.process
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
