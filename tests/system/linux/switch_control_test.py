# SPDX-License-Identifier: Apache-2.0
"""The control socket of a switch with a kernel's own stack as the guest: its routes, a tunnel, and
captures that a reader that is not ours (tcpdump) understands."""

import pathlib
import socket
import stat
import subprocess
import sys
import threading
import unittest
import urllib.parse

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_http  # noqa: E402
import rdl_tap  # noqa: E402

GATEWAY, GUEST = "192.168.127.1", "192.168.127.2"


class ControlTest(unittest.TestCase):
    PROTOCOL = "v2"

    def setUp(self):
        self.session = rdl.Session()
        self.addCleanup(self.session.close)
        self.control = self.session.path("control")
        link = self.session.path("link")
        self.switch = self.session.start("switch", [
            rdl.binary("rdlinkd"), "switch", "--link", f"{self.PROTOCOL}:unix:{link}", "--control",
            f"unix:{self.control}"])
        self.guest = rdl_tap.Guest(self.session, link, self.PROTOCOL)
        rdl.wait_until(self.guest.ready, 20, "the guest's interface is up")
        rdl.wait_until(lambda: "link attached" in self.switch.log(), 20, "the link is attached")

    def ask(self, target, method="GET", body=b""):
        return rdl_http.request(self.control, method, target, body=body)

    def connect(self, target):
        """A connection on which `target` was asked for."""
        s = socket.socket(socket.AF_UNIX)
        self.addCleanup(s.close)
        s.settimeout(20)
        s.connect(self.control)
        s.sendall(f"POST {target} HTTP/1.1\r\nHost: switch\r\nContent-Length: 0\r\n\r\n".encode())
        return s

    def ping(self, count=3):
        done = self.guest.run(["ping", "-c", str(count), "-i", "0.05", "-W", "5", GATEWAY])
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def listen(self, port):
        s = self.guest.open_socket(socket.AF_INET, socket.SOCK_STREAM)
        self.addCleanup(s.close)
        s.bind((GUEST, port))
        s.listen()
        return s

    def test_only_its_owner_may_use_the_socket(self):
        self.assertEqual(stat.S_IMODE(pathlib.Path(self.control).stat().st_mode), 0o600)

    def test_who_is_there_and_what_crossed(self):
        self.ping()
        self.assertIn(rdl_tap.MAC, self.ask("/cam").json())
        stats = self.ask("/stats").json()
        self.assertGreater(stats["BytesReceived"], 3 * 98)
        self.assertGreaterEqual(stats["counters"]["icmp_echo"], 3)

    def test_a_zone_that_is_added_resolves_at_once(self):
        zone = b'{"Name":"made.test.","Records":[{"Name":"a","IP":"192.168.127.77"}]}'
        self.assertEqual(self.ask("/services/dns/add", "POST", zone).status, 200)
        found = self.guest.run(["dig", "+short", "+timeout=5", f"@{GATEWAY}", "a.made.test"])
        self.assertEqual(found.stdout.split(), ["192.168.127.77"])

    def test_a_tunnel_reaches_into_the_guest(self):
        listener = self.listen(8080)
        client = self.connect(f"/tunnel?ip={GUEST}&port=8080")
        conn, peer = listener.accept()
        self.addCleanup(conn.close)
        conn.settimeout(20)
        self.assertEqual(peer[0], GATEWAY)
        client.sendall(b"ping")
        client.shutdown(socket.SHUT_WR)
        self.assertEqual(rdl_http.read_all(conn), b"ping")
        conn.sendall(b"pong")
        conn.close()
        self.assertEqual(rdl_http.read_all(client), b"OKpong")

    def test_a_tunnel_to_a_closed_port_is_closed(self):
        self.assertEqual(rdl_http.read_all(self.connect(f"/tunnel?ip={GUEST}&port=8081")), b"OK")

    def captured(self, work, **options):
        """What tcpdump reads of a capture that runs while `work` does."""
        tcpdump = rdl.tool("tcpdump", "tcpdump")
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(self.control)
            s.sendall(f"GET /capture?{urllib.parse.urlencode(options)} HTTP/1.1\r\nHost: switch\r\n"
                      "\r\n".encode())
            raw = s.recv(1 << 16)  # the head: from here on frames are taken
            self.assertIn(b"application/x-pcapng", raw)
            work()
            s.shutdown(socket.SHUT_WR)
            raw += rdl_http.read_all(s)
        path = pathlib.Path(self.session.path("file.pcapng"))
        path.write_bytes(raw.split(b"\r\n\r\n", 1)[1])
        read = subprocess.run([tcpdump, "-nvv", "-r", path], capture_output=True, text=True,
                              timeout=20, check=False)
        self.assertEqual(read.returncode, 0, read.stderr)
        return read.stdout

    def test_tcpdump_reads_a_capture(self):
        text = self.captured(self.ping, filter="icmp and host 192.168.127.1", seconds=60)
        self.assertEqual(text.count("ICMP echo request"), 3, text)
        self.assertEqual(text.count("ICMP echo reply"), 3, text)
        self.assertNotIn("ARP", text)

    def test_a_super_segment_is_one_frame_and_tcpdump_reads_that_too(self):
        listener = self.listen(8082)
        size = 1 << 20

        def work():
            client = self.connect(f"/tunnel?ip={GUEST}&port=8082")
            conn, _ = listener.accept()
            conn.settimeout(20)

            def send():
                client.sendall(bytes(size))
                client.shutdown(socket.SHUT_WR)

            sender = threading.Thread(target=send, daemon=True)
            sender.start()
            with conn:
                self.assertEqual(len(rdl_http.read_all(conn)), size)
            sender.join(20)

        text = self.captured(work, filter="tcp port 8082", snaplen=128)
        lengths = [int(line.rsplit("length ", 1)[1]) for line in text.splitlines()
                   if "length " in line and "Flags" in line]
        self.assertGreaterEqual(sum(lengths), size)
        self.assertGreater(max(lengths), 1500)


if __name__ == "__main__":
    rdl.main()
