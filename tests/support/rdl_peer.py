# SPDX-License-Identifier: Apache-2.0
"""One side of an rdlink.v1 stream, for tests that say what no program of ours would: a proof that
is wrong or old, none at all, another version.

    Opener     dials an agent's control port, as a host does
    Acceptor   is dialled, as a unit of an agent is; `port` of a Machine (rancher_guest.py)

Keys are bytes; `mac()` is proof.h's, written down a second time. Every wait is for a message or for
the end of the stream, with a time-out.
"""

import contextlib
import hashlib
import hmac
import os
import queue
import socket
import struct
import threading

from rdl_controller import fields, message

MAJOR, MINOR = 1, 4
CONTROLLER, BRIDGE, NET = 1, 4, 5
HELLO, HELLO_ACK, HEALTH, READY, EXIT_NOTICE, PING, PONG = 1, 2, 3, 4, 7, 8, 9
NETWORK_OFFER, PROOF, RELAYED_PORTS = 12, 13, 17
BY_ACCEPTOR, BY_OPENER = 1, 2
SERVING = 1
IN_TIME = 15


def mac(key, by, role, nonces, instances):
    """`nonces` and `instances` are the opener's and the acceptor's; `role` is the acceptor's."""
    said = b"rdlink.v1 proof\0" + struct.pack("<BIII", by, MAJOR, CONTROLLER, role)
    said += b"".join(nonces)
    said += b"".join(bytes([len(i)]) + i.encode() for i in instances)
    return hmac.new(key, said, hashlib.sha256).digest()


def frame(number, body):
    envelope = message((number, body))
    return struct.pack("<I", len(envelope)) + envelope


def text(found, number):
    return found.get(number, [b""])[0].decode()


class Ended(AssertionError):
    """The other side closed the stream."""


class Stream:
    """Messages both ways over a connected socket."""

    def __init__(self, connection):
        self.socket = connection
        connection.settimeout(IN_TIME)

    def send(self, number, *body):
        self.socket.sendall(frame(number, message(*body)))

    def receive(self):
        """(number, {field: [values]}) of the next message."""
        size, = struct.unpack("<I", self._exactly(4))
        (number, bodies), = fields(self._exactly(size)).items()
        return number, fields(bodies[0])

    def expect(self, number):
        """The next message of that kind; others are passed over."""
        while True:
            got, found = self.receive()
            if got == number:
                return found

    def expect_end(self):
        with contextlib.suppress(Ended):
            while True:
                self.receive()

    def close(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            try:
                piece = self.socket.recv(size - len(data))
            except ConnectionResetError:
                piece = b""
            if not piece:
                raise Ended
            data += piece
        return data


def dial(path, port):
    """The host's way to a port of a machine: a connected socket."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(IN_TIME)
    connection.connect(str(path))
    connection.sendall(b"CONNECT %d\n" % port)
    line = b""
    while not line.endswith(b"\n"):
        byte = connection.recv(1)
        if not byte:
            raise ConnectionRefusedError(f"nobody at port {port} of {path}")
        line += byte
    return connection


class Opener(Stream):
    """A host. `key` None: it takes part, without a key; `nonce` None: it is older than proof.
    `extra`: further fields of Hello."""

    def __init__(self, path, port, role, key=None, nonce=b"", major=MAJOR, minor=MINOR, extra=()):
        super().__init__(dial(path, port))
        self.nonce = os.urandom(32) if nonce == b"" else nonce
        sent = [(1, major), (2, minor), (3, CONTROLLER), (4, "scripted"), (6, "9.9")]
        if self.nonce is not None:
            sent.append((8, self.nonce))
        self.send(HELLO, *sent, *extra)
        self.ack = self.expect(HELLO_ACK)
        self.instance = text(self.ack, 4)
        self.its_nonce = self.ack.get(8, [b""])[0]
        self.its_mac = self.ack.get(9, [b""])[0]
        self.nonces = (self.nonce or b"", self.its_nonce)
        self.instances = ("scripted", self.instance)
        self.role = role
        if self.its_nonce:
            self.prove(key)

    def prove(self, key):
        said = mac(key, BY_OPENER, self.role, self.nonces, self.instances) if key else b""
        self.send(PROOF, (1, said))

    def is_proved_by(self, key):
        return self.its_mac == mac(key, BY_ACCEPTOR, self.role, self.nonces, self.instances)


class Acceptor:
    """A unit of an agent at `port` of a machine, for each host that dials. `answer(stream, hello)`
    says HelloAck and what else there is to say; the default is a good one with `key`. Channels whose
    greeting was answered are in the queue `channels`."""

    def __init__(self, machine, port, role, instance="guest1", key=None, answer=None, minor=MINOR,
                 major=MAJOR, extra=()):
        self.role, self.instance, self.key = role, instance, key
        self.minor, self.major, self.extra = minor, major, extra
        self.channels = queue.Queue()
        self.proofs = []  # the MACs that hosts sent
        self._answer = answer or self.answer
        self._machine, self._port = machine, port
        self._backlog = machine.listen(port)
        threading.Thread(target=self._run, daemon=True).start()

    def answer(self, stream, hello):
        its = hello.get(8, [b""])[0]
        sent = [(1, self.major), (2, self.minor), (3, self.role), (4, self.instance), (6, "9.9")]
        if its and self.minor >= 2:
            nonce = os.urandom(32)
            sent.append((8, nonce))
            if self.key:
                sent.append((9, mac(self.key, BY_ACCEPTOR, self.role, (its, nonce),
                                    (text(hello, 4), self.instance))))
        stream.send(HELLO_ACK, *sent, *self.extra)
        if its and self.minor >= 2:
            self.proofs.append(stream.expect(PROOF).get(1, [b""])[0])

    def reports(self, stream, sequence=1):
        """A report of one component that serves."""
        stream.send(HEALTH, (1, sequence), (2, message((1, "scripted"), (2, SERVING))))

    def close(self):
        self._machine.unlisten(self._port)

    def _run(self):
        while connection := self._backlog.get():
            threading.Thread(target=self._serve, args=(Stream(connection),), daemon=True).start()

    def _serve(self, stream):
        with contextlib.suppress(Ended, OSError):
            hello = stream.expect(HELLO)
            self._answer(stream, hello)
            self.channels.put(stream)
