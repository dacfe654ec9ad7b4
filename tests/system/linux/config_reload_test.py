# SPDX-License-Identifier: Apache-2.0
"""A configuration that changes under a running rdlinkd: what comes into force, what waits, what a
mistake does, and that nothing is cut which has nothing to do with it."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rancher_guest  # noqa: E402
import rdl  # noqa: E402
import rdl_http  # noqa: E402
import rdl_link  # noqa: E402
import rdl_script  # noqa: E402
from rancher_kernel import ADDRESS, HOST, KernelGuest  # noqa: E402

IN_TIME = 20


def read_exactly(conn, size):
    data = b""
    while len(data) < size and (piece := conn.recv(size - len(data))):
        data += piece
    return data


def serve(conn):
    """An engine: answers rdlinkd's question, and echoes for everybody else."""
    with contextlib.suppress(ConnectionError, TimeoutError):
        while data := conn.recv(4096):
            if data.startswith(b"GET /_ping"):
                conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK")
                return
            conn.sendall(data)


def serve_one(listener):
    conn, _ = listener.accept()
    with conn:
        serve(conn)


class ConfigTest(unittest.TestCase):
    def setUp(self):
        self.session = self.enterContext(rdl.Session())
        self.root = self.session.dir / "etc"
        self.root.mkdir()
        self.file = self.root / "rdlinkd.conf"
        engine = self.session.path("engine.sock")
        self.enterContext(rdl_script.Server(engine, serve))
        self.agent = rdl_link.Agent(self.session, engine)
        self.write("# nothing yet\n")
        self.host = rdl_link.Host(self.session, options=["--config-root", str(self.root)])
        self.host.wait_serving()

    def write(self, text, name="rdlinkd.conf"):
        """As an editor does: in place of the old one."""
        fresh = self.root / f"{name}.tmp"
        fresh.write_text(text, encoding="utf-8")
        fresh.rename(self.root / name)

    def expect(self, what, condition, timeout=IN_TIME):
        return rdl.wait_until(condition, timeout, what)

    def config(self):
        return self.host.status()["config"]

    def expect_generation(self, generation):
        self.expect(f"generation {generation}",
                    lambda: self.config()["generation"] == generation)

    def valid(self):
        return next(c for c in self.host.status()["conditions"] if c["type"] == "ConfigValid")

    def open_docker(self):
        conn = rdl_http.connect(self.host.endpoint, IN_TIME)
        self.addCleanup(conn.close)
        self.expect_alive(conn)
        return conn

    def expect_alive(self, conn):
        conn.sendall(b"still there?")
        self.assertEqual(read_exactly(conn, 12), b"still there?")

    def rdlink(self, *words):
        return subprocess.run([rdl.binary("rdlink"), "config", *words, "--config-root",
                               str(self.root)], capture_output=True, text=True, timeout=60,
                              env=self.session.env())

    # ---- docker ----------------------------------------------------------------------------

    def test_limits_change_and_no_connection_is_cut(self):
        first = self.open_docker()
        pid = self.host.worker()["pid"]
        self.file.chmod(0o600)
        done = self.rdlink("set", "max-connections", "2")
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.expect_generation(2)
        self.assertIn("# nothing yet\n", self.file.read_text(encoding="utf-8"))
        self.assertEqual(self.file.stat().st_mode & 0o777, 0o600)
        self.open_docker()
        self.expect("a third one is refused", lambda: rdl_http.request(
            self.host.endpoint, "GET", "/_ping").status == 503)
        self.expect_alive(first)
        self.assertEqual(self.host.worker()["pid"], pid)
        self.assertRegex(self.host.process.log(),
                         r"max-connections: '1024' -> '2' \(.*rdlinkd\.conf:2\)")

    def test_what_cannot_change_now_is_pending(self):
        self.write(f"status-file = {self.session.path('status.json')}\nlog-level = debug\n")
        self.expect_generation(2)
        self.assertEqual(self.config()["pending"], ["status-file"])
        self.write("log-level = debug\n")
        self.expect_generation(3)
        self.assertEqual(self.config()["pending"], [])

    def test_a_mistake_is_told_and_changes_nothing(self):
        conn = self.open_docker()
        self.write("max-connections = 1\nmax-conections = 2\n")
        self.expect("ConfigInvalid", lambda: self.valid()["reason"] == "ConfigInvalid")
        self.assertEqual(self.valid()["status"], "False")
        self.assertIn("rdlinkd.conf:2:1: unknown option", self.valid()["message"])
        self.assertEqual(self.config()["generation"], 1)
        self.open_docker()  # the limit is what it was
        self.expect_alive(conn)
        answer = rdl_http.request(self.host.control_socket, "POST", "/v1/config/reload")
        self.assertEqual(answer.status, 422)
        self.assertIn(b"rdlinkd.conf:2:1", answer.body)
        self.assertEqual(self.rdlink("check").returncode, 1)
        self.write("max-connections = 5\n")
        self.expect("ConfigLoaded", lambda: self.valid()["reason"] == "ConfigLoaded")
        self.assertEqual(rdl_http.request(self.host.control_socket, "POST",
                                          "/v1/config/reload").status, 200)

    def test_policy_is_above_all_and_shown(self):
        self.write("mtu = 1400\n")
        self.write("mtu = 1300\nstatus = unix:/nowhere\n", "policy.conf")
        self.expect("the policy is seen", lambda: self.config()["locked"])
        self.assertEqual(self.config()["locked"], ["status", "mtu"])
        self.assertEqual(self.config()["sources"], ["file", "command line", "policy"])
        self.assertEqual(self.config()["pending"], ["status"])
        done = self.rdlink("set", "mtu", "1500")
        self.assertIn("policy.conf:1 locks it", done.stdout)
        self.assertRegex(self.rdlink("show").stdout, r"mtu +1300 .*policy\.conf:1, locked")

    def test_sighup_reads_it(self):
        self.host.process.send(signal.SIGHUP)
        self.expect("it was read",
                    lambda: "SIGHUP: reading the configuration" in self.host.process.log())
        self.assertTrue(self.host.serves())

    def test_machines_are_looked_for_elsewhere(self):
        folder = self.session.dir / "others"
        folder.mkdir()
        self.write(f"vm = other=vsock-hybrid:{folder}/none.vsock\n"
                   f"vm = same=vsock-hybrid:{self.agent.vsock}\n")
        self.expect("the new list", lambda: [i["vm"] for i in self.host.status()["instances"]] ==
                    ["other", "same"])
        self.host.wait_serving()

    # ---- the network -----------------------------------------------------------------------

    def start_guest(self):
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise rdl.Skip("needs root and /dev/net/tun")
        machine = rancher_guest.Machine(self.session.path("vm2.vsock"))
        self.addCleanup(machine.close)
        guest = KernelGuest(self.session, machine, "A", "a")
        self.expect("its interface is up", guest.kernel.ready)
        self.expect("it is linked", lambda: guest.links)
        guest.ask_address()
        return guest

    def open_flow(self, guest):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)

        threading.Thread(target=serve_one, args=(listener,), daemon=True).start()
        flow = guest.kernel.connect((HOST, listener.getsockname()[1]))
        self.addCleanup(flow.close)
        flow.settimeout(IN_TIME)
        self.expect_alive(flow)
        return flow

    def test_a_forward_comes_and_goes_and_no_flow_ends(self):
        guest = self.start_guest()
        flow, switch = self.open_flow(guest), self.host.worker("switch-vm2-A")["pid"]
        listener = guest.kernel.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(listener.close)
        listener.bind((ADDRESS, 0))
        listener.listen()
        threading.Thread(target=serve_one, args=(listener,), daemon=True).start()
        with socket.create_server(("127.0.0.1", 0)) as s:
            port = s.getsockname()[1]
        self.write(f"forward = 127.0.0.1:{port}={ADDRESS}:{listener.getsockname()[1]}\n")

        def connect():
            with contextlib.suppress(OSError):
                return socket.create_connection(("127.0.0.1", port), IN_TIME)
            return None

        def is_refused():
            conn = connect()
            if conn:
                conn.close()
            return conn is None

        through = self.expect("the port leads into the guest", connect)
        self.addCleanup(through.close)
        through.settimeout(IN_TIME)
        self.expect_alive(through)
        self.write("# no forward\n")
        self.expect("nobody listens there", is_refused)
        self.expect_alive(through)  # it was there before
        self.expect_alive(flow)
        self.assertEqual(self.host.worker("switch-vm2-A")["pid"], switch)

    def test_each_part_changes_without_the_other(self):
        guest = self.start_guest()
        docker, flow = self.open_docker(), self.open_flow(guest)
        switch, docker_pid = "switch-vm2-A", self.host.worker()["pid"]
        before = self.host.worker(switch)["pid"]
        self.write("max-connections = 9\nlog-level = debug\nprobe-interval = 2s\n")
        self.expect_generation(2)
        self.expect_alive(docker)
        self.expect_alive(flow)
        self.assertEqual(self.host.worker(switch)["pid"], before)

        self.write("max-connections = 9\ndns-rebind = deny\n")
        self.expect("another switch", lambda: self.host.worker(switch)["pid"] not in (None, before))
        self.expect("the guest has a new link", lambda: guest.links == 2)
        self.assertIn("deny", rdl.command_of(self.host.worker(switch)["pid"]))
        self.open_flow(guest)
        self.expect_alive(docker)
        self.assertEqual(self.host.worker()["pid"], docker_pid)


if __name__ == "__main__":
    rdl.main()
