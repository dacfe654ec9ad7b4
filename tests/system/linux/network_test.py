# SPDX-License-Identifier: Apache-2.0
"""The network of unmodified Rancher guests, through `rdlinkd run`: handshake, switch worker, data
link, and a real kernel behind it (rancher_kernel.py). The host is this machine's loopback, which
guests reach as 192.168.127.254."""

import contextlib
import http.client
import json
import os
import pathlib
import signal
import socket
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rancher_guest  # noqa: E402
import rdl  # noqa: E402
import rdl_http  # noqa: E402
import rdl_link  # noqa: E402
from rancher_kernel import ADDRESS, GATEWAY, HOST, KernelGuest  # noqa: E402

IN_TIME = 20


class EchoServer:
    """Answers every connection with `greeting`, then echoes; `listener` is of any namespace."""

    def __init__(self, listener, greeting):
        self._listener = listener
        self._greeting = greeting
        self.port = listener.getsockname()[1]
        listener.settimeout(None)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with contextlib.suppress(OSError), conn:
            conn.sendall(self._greeting)
            while data := conn.recv(1 << 16):
                conn.sendall(data)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def read_exactly(conn, size):
    data = b""
    while len(data) < size and (piece := conn.recv(size - len(data))):
        data += piece
    return data


def dns_answer_address(name, ask):
    """The A record that `ask` (question to answer, bytes) gives for a name."""
    labels = b"".join(bytes([len(p)]) + p.encode() for p in name.split("."))
    answer = ask(struct.pack(">6H", 99, 0x0100, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, 1, 1))
    assert answer[:2] == struct.pack(">H", 99) and answer[3] & 15 == 0, answer
    return socket.inet_ntoa(answer[-4:])


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


def can_bind(port):
    """Nobody listens there."""
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", port))
        return True


class NetworkTest(unittest.TestCase):
    def setUp(self):
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise rdl.Skip("needs root and /dev/net/tun")
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.control = self.session.path("switch")
        self.host = rdl_link.Host(self.session,
                                  options=["--switch-control", f"unix:{self.control}"])
        self.echo = EchoServer(socket.create_server(("127.0.0.1", 0)), b"host")
        self.addCleanup(self.echo.close)

    # ---- helpers --------------------------------------------------------------------------

    def expect(self, what, condition, timeout=IN_TIME):
        return rdl.wait_until(condition, timeout, what)

    def machine(self, name="vm1"):
        machine = rancher_guest.Machine(self.session.path(f"{name}.vsock"))
        self.addCleanup(machine.close)
        return machine

    def start_guest(self, machine, generation, name):
        """A distribution that has started and is linked; its kernel has no address yet."""
        guest = KernelGuest(self.session, machine, generation, name)
        self.expect(f"{name}'s interface is up", guest.kernel.ready)
        self.expect(f"{name} is linked", lambda: guest.links)
        return guest

    def condition(self, name):
        return next(c for c in self.host.status()["conditions"] if c["type"] == name)

    def link_reason(self):
        instances = self.host.status()["instances"]
        conditions = instances[0]["conditions"] if instances else []
        return next((c["reason"] for c in conditions if c["type"] == "LinkUp"), None)

    def worker(self, name):
        return next((c for c in self.host.status()["components"] if c["name"] == name), None)

    def forward_states(self, port):
        return [f["state"] for f in self.host.status()["forwards"]
                if f["host"].endswith(f":{port}")]

    def reason(self, worker, condition):
        component = self.worker(worker) or {"conditions": []}
        return next((c["reason"] for c in component["conditions"] if c["type"] == condition), None)

    def expect_echo(self, conn, greeting):
        with conn:
            conn.settimeout(IN_TIME)
            self.assertEqual(read_exactly(conn, len(greeting)), greeting)
            data = os.urandom(100_000)
            threading.Thread(target=conn.sendall, args=(data,), daemon=True).start()
            self.assertEqual(read_exactly(conn, len(data)), data)

    def expect_online(self, guest, worker):
        """All that the guest's network is for."""
        lease = guest.ask_address()
        self.assertEqual((lease["ip"], lease["router"], lease["dns"]), (ADDRESS, GATEWAY, GATEWAY))
        self.assertTrue(guest.ping(GATEWAY), "the gateway does not answer")
        with guest.kernel.open_socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            def ask(question):
                s.sendto(question, (GATEWAY, 53))
                return s.recv(2048)
            self.assertEqual(dns_answer_address("host.rancher-desktop.internal", ask), HOST)
        self.expect_echo(guest.kernel.connect((HOST, self.echo.port)), b"host")
        self.expect(f"{worker} says so", lambda: self.reason(worker, "NetworkReady") ==
                    "GuestOnline")

    def forwarder(self, guest, action, local, remote=ADDRESS, port=0):
        """The guest agent's request to the gateway."""
        connection = http.client.HTTPConnection(GATEWAY)
        connection.sock = guest.kernel.connect((GATEWAY, 80))
        body = {"local": local, "remote": f"{remote}:{port}", "protocol": "tcp"}
        with contextlib.closing(connection):
            connection.request("POST", f"/services/forwarder/{action}", json.dumps(body))
            return connection.getresponse().status

    def publish(self, guest, greeting):
        """A server in the guest that the host reaches; returns the host's port."""
        listener = guest.kernel.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((ADDRESS, 0))
        listener.listen()
        server = EchoServer(listener, greeting)
        self.addCleanup(server.close)
        port = free_port()
        self.assertEqual(self.forwarder(guest, "expose", f"127.0.0.1:{port}", port=server.port),
                         200)
        self.expect_published(port, greeting)
        return port

    def expect_published(self, port, greeting):
        self.expect_echo(socket.create_connection(("127.0.0.1", port), IN_TIME), greeting)

    # ---- the network of one machine --------------------------------------------------------

    def test_generation_a(self):
        guest = self.start_guest(self.machine(), "A", "a")
        self.expect_online(guest, "switch-vm1-A")
        self.assertEqual(guest.links, 1)
        condition = self.condition("NetworkReady")
        self.assertEqual((condition["status"], condition["reason"]), ("True", "GuestOnline"))

    def test_generation_b(self):
        self.expect_online(self.start_guest(self.machine(), "B", "b"), "switch-vm1-B")

    def test_both_generations_in_one_machine(self):
        machine = self.machine()
        a, b = self.start_guest(machine, "A", "a"), self.start_guest(machine, "B", "b")
        self.expect_online(a, "switch-vm1-A")
        self.expect_online(b, "switch-vm1-B")  # the same addresses, and another network
        first, second = self.publish(a, b"of A"), self.publish(b, b"of B")
        self.expect_published(first, b"of A")
        self.expect_published(second, b"of B")

    def test_each_switch_can_be_asked(self):
        guest = self.start_guest(self.machine(), "A", "a")
        self.expect_online(guest, "switch-vm1-A")
        port = self.publish(guest, b"guest")
        answer = rdl_http.request(f"{self.control}-vm1-A", "GET", "/services/forwarder/all")
        self.assertEqual([f["local"] for f in answer.json()], [f"127.0.0.1:{port}"])

    def test_network_that_is_not_there_yet_is_a_reason(self):
        self.expect("no guest", lambda: self.condition("NetworkReady")["reason"] == "NoGuest")
        guest = self.start_guest(self.machine(), "A", "a")
        self.expect("a link, no address",
                    lambda: self.condition("NetworkReady")["reason"] == "NoAddress")
        self.assertNotEqual(self.condition("Ready")["status"], "True")
        guest.ask_address()
        self.expect("an address", lambda: self.condition("NetworkReady")["status"] == "True")

    def test_data_port_of_somebody_else_is_named_and_waited_for(self):
        machine = self.machine()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(f"{machine.path}_{rancher_guest.DATA_PORT['A']}")
            other.listen()
            guest = rancher_guest.Guest(machine, "A")
            self.addCleanup(guest.stop)
            self.expect("its reason is DataPortTaken", lambda: self.link_reason() ==
                        "DataPortTaken")
            self.assertNotIn("ready", guest.events)
            self.expect("the whole says so", lambda: self.condition("NetworkReady")["reason"] ==
                        "SwitchDown")
        self.expect("the guest is linked", guest.is_linked)

    # ---- ends ----------------------------------------------------------------------------

    def test_worker_that_is_killed_is_replaced_with_its_forwards(self):
        guest = self.start_guest(self.machine(), "A", "a")
        self.expect_online(guest, "switch-vm1-A")
        port = self.publish(guest, b"guest")
        gone = free_port()
        self.assertEqual(self.forwarder(guest, "expose", f"127.0.0.1:{gone}", port=1), 200)
        self.assertEqual(self.forwarder(guest, "unexpose", f"127.0.0.1:{gone}"), 200)
        with rdl.Stalls() as stalls:
            began = time.monotonic()
            os.kill(self.worker("switch-vm1-A")["pid"], signal.SIGKILL)
            self.expect("the guest has a new link", lambda: guest.links == 2)
            took = time.monotonic() - began
        rdl.measured("worker killed to new link", took)
        self.assertLess(took, 2 + stalls.worst_s)
        self.expect_published(port, b"guest")
        self.assertTrue(can_bind(gone))
        self.expect_echo(guest.kernel.connect((HOST, self.echo.port)), b"host")
        self.assertEqual(self.worker("switch-vm1-A")["lastExit"]["reason"], "Killed")
        self.expect("all is well again",
                    lambda: self.condition("NetworkReady")["status"] == "True")

    def test_flows_outlive_a_link(self):
        guest = self.start_guest(self.machine(), "A", "a")
        self.expect_online(guest, "switch-vm1-A")
        with guest.kernel.connect((HOST, self.echo.port)) as s:
            self.assertEqual(read_exactly(s, 4), b"host")
            guest.cut_link()
            self.expect("the guest has a new link", lambda: guest.links == 2)
            s.sendall(b"still here")
            self.assertEqual(read_exactly(s, 10), b"still here")

    def test_machine_that_goes_frees_the_ports(self):
        machine = self.machine()
        guest = self.start_guest(machine, "A", "a")
        self.expect_online(guest, "switch-vm1-A")
        port = self.publish(guest, b"guest")
        with self.assertRaises(OSError):
            can_bind(port)
        self.expect("the status has it", lambda: self.forward_states(port) == ["listening"])
        guest.stop()
        self.assertIsNotNone(self.worker("switch-vm1-A"))  # its machine is there: it may come back
        machine.close()
        self.expect("its switch is gone", lambda: self.worker("switch-vm1-A") is None)
        self.expect("the port is free", lambda: can_bind(port))
        self.assertEqual(self.forward_states(port), [])
        self.assertEqual(self.condition("NetworkReady")["reason"], "NoGuest")

    def test_host_that_ends_takes_the_switches_with_it(self):
        self.start_guest(self.machine(), "A", "a")
        pid = self.worker("switch-vm1-A")["pid"]
        self.assertEqual(self.host.process.stop(), 0)
        self.assertFalse(rdl.is_running(pid))

    # ---- several -------------------------------------------------------------------------

    def test_two_machines_have_a_network_each(self):
        first = self.start_guest(self.machine("vm1"), "A", "a1")
        second = self.start_guest(self.machine("vm2"), "A", "a2")
        self.expect_online(first, "switch-vm1-A")
        self.expect_online(second, "switch-vm2-A")
        port1, port2 = self.publish(first, b"first"), self.publish(second, b"second")
        self.expect_published(port1, b"first")
        os.kill(self.worker("switch-vm1-A")["pid"], signal.SIGKILL)
        self.expect_published(port2, b"second")
        self.expect("the first has a new link", lambda: first.links == 2)
        self.expect_published(port1, b"first")
        self.assertEqual(second.links, 1)


class DisabledTest(unittest.TestCase):
    def test_no_network_leaves_guests_alone(self):
        session = rdl.Session()
        self.addCleanup(session.close)
        host = rdl_link.Host(session, options=["--no-network"])
        machine = rancher_guest.Machine(session.path("vm1.vsock"))
        self.addCleanup(machine.close)
        guest = rancher_guest.Guest(machine, "A")
        self.addCleanup(guest.stop)

        def reason():
            conditions = host.status()["instances"][0]["conditions"]
            return next(c["reason"] for c in conditions if c["type"] == "LinkUp")

        rdl.wait_until(lambda: host.status()["instances"], IN_TIME, "the machine is seen")
        rdl.wait_until(lambda: reason() == "NetworkDisabled", IN_TIME, "its reason is given")
        self.assertNotIn("ready", guest.events)
        self.assertEqual([c["name"] for c in host.status()["components"]], ["docker"])
        docker = host.status()["endpoints"][0]
        self.assertEqual(docker["instance"], "vm1")  # docker goes another way


if __name__ == "__main__":
    rdl.main()
