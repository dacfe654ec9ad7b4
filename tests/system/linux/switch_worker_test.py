# SPDX-License-Identifier: Apache-2.0
"""The switch as a worker process: a controller out of this program, a guest out of the kernel."""

import contextlib
import os
import pathlib
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_tap  # noqa: E402
from rdl_controller import Controller  # noqa: E402

GATEWAY, HOST, GUEST = "192.168.127.1", "192.168.127.254", "192.168.127.2"
IDLE_KIB = 8 * 1024


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def can_connect(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
        return True
    return False


class WorkerCase(unittest.TestCase):
    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.path = self.session.path("link")

    def start(self, *options, **start):
        """A worker that is ready."""
        controller = Controller(self.session, "switch", "--instance", "vm1", "--link",
                                f"qemu:unix:{self.path}", *options, **start)
        rdl.wait_until(controller.ready, 20, "the worker is ready")
        return controller


class AloneTest(WorkerCase):
    """Without a guest: no rights are needed."""

    def test_an_idle_worker_is_small(self):
        programs = rdl.plain_binaries()  # without the sanitizers' shadow memory
        if not programs:
            raise rdl.Skip("there is no build without sanitizers (./dev build)")
        controller = self.start(programs=programs)
        controller.wait_condition("NetworkReady", "NoLink")
        status = pathlib.Path(f"/proc/{controller.worker.pid}/status").read_text()
        self.assertLess(int(status.split("VmRSS:")[1].split()[0]), IDLE_KIB)

    def test_a_data_port_that_is_taken_is_told(self):
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(self.path)
            other.listen()
            controller = Controller(self.session, "switch", "--link", f"qemu:unix:{self.path}")
            self.assertEqual(controller.exit_code(), 1)
        rdl.wait_until(lambda: controller.said, 5, "its last word")
        self.assertEqual(controller.said, [("exit", "DataPortTaken")])

    def test_the_control_socket_answers(self):
        path = self.session.path("control")
        self.start("--control", f"unix:{path}")
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            s.connect(path)
            s.sendall(b"GET /stats HTTP/1.1\r\nHost: switch\r\nConnection: close\r\n\r\n")
            answer = s.makefile("rb").read()
        self.assertIn(b" 200 ", answer)
        self.assertIn(b"BytesSent", answer)

    def test_it_ends_with_its_controller(self):
        for end in (Controller.die, Controller.drain, Controller.shut_down):
            with self.subTest(end=end.__name__):
                port = free_port()
                controller = self.start("--forward", f"127.0.0.1:{port}={GUEST}:80")
                self.assertTrue(can_connect(port))
                end(controller)
                self.assertEqual(controller.exit_code(), 0)
                self.assertFalse(can_connect(port))

    def test_a_forward_waits_for_its_port(self):
        with socket.create_server(("127.0.0.1", 0)) as other:
            port = other.getsockname()[1]
            controller = self.start()
            controller.forward("tcp", f"127.0.0.1:{port}", f"{GUEST}:80")
            controller.wait_condition("ForwardsBound", "PortTaken")
            self.assertIn(str(port), controller.condition("ForwardsBound")[2])
        controller.wait_condition("ForwardsBound", "AllBound")
        self.assertTrue(can_connect(port))


@unittest.skipUnless(os.geteuid() == 0 and os.path.exists("/dev/net/tun"),
                     "needs root and /dev/net/tun")
class GuestTest(WorkerCase):
    def start_guest(self, name="guest"):
        guest = rdl_tap.Guest(self.session, self.path, name=name)
        rdl.wait_until(guest.ready, 20, "the guest's interface is up")
        return guest

    def expose(self, guest, port):
        """As a guest's agent does it."""
        body = f'{{"local":"127.0.0.1:{port}","remote":"{GUEST}:{port}"}}'
        with guest.connect((GATEWAY, 80)) as s:
            s.sendall((f"POST /services/forwarder/expose HTTP/1.1\r\nHost: {GATEWAY}\r\n"
                       f"Content-Length: {len(body)}\r\n\r\n{body}").encode())
            self.assertIn(b" 200 ", s.recv(4096))

    def serve_in(self, guest, port):
        """Answers one connection at the guest's `port` when asked to."""
        server = guest.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(server.close)
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("0.0.0.0", port))
        server.listen()
        return server

    def check_reaches(self, server, port):
        with socket.create_connection(("127.0.0.1", port), 10) as client:
            conn, _ = server.accept()
            with conn:
                client.sendall(b"hello")
                self.assertEqual(conn.recv(16), b"hello")

    def test_a_guest_comes_online_and_goes(self):
        controller = self.start()
        guest = self.start_guest()
        controller.wait_condition("NetworkReady", "GuestOnline")
        self.assertEqual(controller.condition("LinkUp")[:2], ("True", "Linked"))
        rdl.wait_until(lambda: controller.counter("rx_frames") > 0, 5, "frames are counted")
        with socket.create_server(("127.0.0.1", 0)) as server:
            with guest.connect((HOST, server.getsockname()[1])) as s:
                s.sendall(b"x")
                conn, _ = server.accept()
                with conn:
                    self.assertEqual(conn.recv(1), b"x")
        guest.process.kill()
        controller.wait_condition("LinkUp", "LinkLost")
        controller.wait_condition("NetworkReady", "NoLink")

    def test_a_forward_survives_its_worker(self):
        port = free_port()
        first = self.start()
        guest = self.start_guest()
        first.wait_condition("NetworkReady", "GuestOnline")
        server = self.serve_in(guest, port)
        self.expose(guest, port)
        rdl.wait_until(lambda: len(first.said) > 1, 5, "the controller hears of the forward")
        told = first.said[-1]
        self.assertEqual(told, ("forward", "tcp", f"127.0.0.1:{port}", f"{GUEST}:{port}", False))
        self.check_reaches(server, port)
        first.worker.kill()
        began = time.monotonic()
        with rdl.Stalls() as stalls:
            second = self.start()
            second.forward(*told[1:4])
            second.wait_condition("NetworkReady", "GuestOnline")
            rdl.wait_until(lambda: second.counter("forwards") == 1, 5, "the forward is back")
            self.check_reaches(server, port)
            took = time.monotonic() - began
        self.assertLess(took, 2 + stalls.worst_s)

    def test_links_that_end_at_once_have_a_name(self):
        controller = self.start()
        for links in range(1, 4):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.path)
                rdl.wait_until(lambda n=links: controller.counter("links") == n, 5, "it is seen")
        controller.wait_condition("LinkUp", "ShortLivedLinks")

    def test_a_network_of_the_host_that_overlaps_is_named(self):
        home = self.session.start("home", ["unshare", "--net", "sleep", "600"])
        namespace = f"/proc/{home.pid}/ns/net"
        ours = os.readlink("/proc/self/ns/net")
        rdl.wait_until(lambda: os.readlink(namespace) != ours, 5, "a namespace")

        def ip(*words):
            subprocess.run(["nsenter", f"--net={namespace}", "ip", *words], check=True)

        ip("link", "set", "lo", "up")
        ip("tuntap", "add", "dev", "vpn0", "mode", "tap")
        ip("link", "set", "vpn0", "up")
        controller = self.start(net_of=home.pid)
        self.assertEqual(controller.condition("SubnetClear")[:2], ("True", "NoOverlap"))
        ip("route", "add", "192.168.0.0/16", "dev", "vpn0")
        controller.wait_condition("SubnetClear", "SubnetOverlap", 10)
        self.assertIn("192.168.0.0/16 (vpn0)", controller.condition("SubnetClear")[2])
        ip("route", "del", "192.168.0.0/16")
        controller.wait_condition("SubnetClear", "NoOverlap", 10)
        ip("address", "add", "192.168.127.77/32", "dev", "vpn0")
        controller.wait_condition("SubnetClear", "SubnetOverlap", 10)


if __name__ == "__main__":
    rdl.main()
