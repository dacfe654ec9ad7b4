# SPDX-License-Identifier: Apache-2.0
"""The end of each direction is carried on its own, in both orders, with every byte before it:
client, rdlinkd, agent, and a scripted docker.sock. No engine, no privileges."""

import hashlib
import pathlib
import random
import socket
import sys
import threading
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_http
import rdl_link
import rdl_script

session = agent = host = None
SIZES = (0, 1, 65_537, 8_000_000)


def setUpModule():
    global session, agent, host
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)
    with rdl_script.Server(session.path("docker.sock"), rdl_script.answer_ping):
        agent = rdl_link.Agent(session, session.path("docker.sock"))
        host = rdl_link.Host(session)
        host.wait_serving()


def is_probe(connection):
    """rdlinkd's own question whether docker answers comes to the same socket as the clients: it,
    and only it, begins with an HTTP method."""
    return connection.recv(4, socket.MSG_PEEK)[:4] in (b"GET ", b"HEAD")


def scripted(script):
    """A docker.sock that runs `script` for clients and answers rdlinkd's probe."""
    def either(connection):
        if is_probe(connection):
            rdl_script.answer_ping(connection)
        else:
            script(connection)
    return rdl_script.Server(session.path("docker.sock"), either)


def some_bytes(count):
    return random.Random(count).randbytes(count)


def digest(data):
    return hashlib.sha256(data).digest()


class HalfClose(unittest.TestCase):
    def connect(self):
        return self.enterContext(rdl_http.connect(host.endpoint, 20))

    def test_client_ends_first_and_still_gets_the_answer(self):
        for count in SIZES:
            with self.subTest(bytes=count):
                data = b"DATA" + some_bytes(count)

                def script(connection):
                    seen = rdl_http.read_all(connection)
                    connection.sendall(digest(seen) + seen)

                with scripted(script):
                    client = self.connect()
                    sender = threading.Thread(target=send_and_end, args=(client, data))
                    sender.start()
                    answer = rdl_http.read_all(client)
                    sender.join()
                self.assertEqual(answer, digest(data) + data)

    def test_server_ends_first_and_still_gets_the_rest(self):
        for count in SIZES:
            with self.subTest(bytes=count):
                data, rest, seen = some_bytes(count + 1), some_bytes(count + 2), []

                def script(connection):
                    connection.recv(4)
                    send_and_end(connection, data)
                    seen.append(rdl_http.read_all(connection))

                with scripted(script):
                    client = self.connect()
                    client.sendall(b"DATA")
                    self.assertEqual(rdl_http.read_all(client), data)
                    send_and_end(client, rest)
                    rdl.wait_until(lambda: seen, 20, "the server sees the client's end")
                self.assertEqual(digest(seen[0]), digest(rest))

    def test_both_ends_at_once_with_data_under_way_both_ways(self):
        up, down, seen = b"DATA" + some_bytes(5_000_000), some_bytes(5_000_001), []

        def script(connection):
            sender = threading.Thread(target=send_and_end, args=(connection, down))
            sender.start()
            seen.append(rdl_http.read_all(connection))
            sender.join()

        with scripted(script):
            client = self.connect()
            sender = threading.Thread(target=send_and_end, args=(client, up))
            sender.start()
            self.assertEqual(digest(rdl_http.read_all(client)), digest(down))
            sender.join()
            rdl.wait_until(lambda: seen, 20, "the server sees the client's end")
        self.assertEqual(digest(seen[0]), digest(up))

    def test_client_that_vanishes_ends_the_servers_side(self):
        ended = threading.Event()

        def script(connection):
            connection.sendall(some_bytes(100_000))
            try:
                rdl_http.read_all(connection)
            except ConnectionError:
                pass  # a reset tells it as well
            ended.set()

        with scripted(script):
            client = rdl_http.connect(host.endpoint, 20)
            client.sendall(b"DATA")
            client.recv(1)
            client.close()
            self.assertTrue(ended.wait(10), "the server never learned that its client is gone")

    def test_server_that_reads_nothing_stops_its_client_within_bounds(self):
        release, seen = threading.Event(), []

        def script(connection):
            release.wait(20)
            seen.append(rdl_http.read_all(connection))

        with scripted(script):
            client = self.connect()
            client.settimeout(1)
            client.sendall(b"DATA")
            sent = send_until_full(client, 64 << 20)
            self.assertLess(sent, 16 << 20, "the chain took all that one client had")
            print(f"  a stalled connection holds {sent >> 10} KiB in all buffers")
            client.settimeout(20)
            release.set()
            client.shutdown(socket.SHUT_WR)
            rdl.wait_until(lambda: seen, 20, "the server has read it all")
        self.assertEqual(len(seen[0]), 4 + sent)


def send_and_end(s, data):
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)


def send_until_full(s, most):
    """Sends until the peer takes nothing for the socket's timeout; the number of bytes taken."""
    sent, chunk = 0, bytes(65536)
    try:
        while sent < most:
            sent += s.send(chunk)
    except TimeoutError:
        pass
    return sent


if __name__ == "__main__":
    rdl.main()
