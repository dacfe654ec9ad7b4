# SPDX-License-Identifier: Apache-2.0
"""The controller's part of rdlink.v1, as far as a test needs it: starts one worker of rdlinkd on a
socket pair, greets it, and keeps what it says.

THEORY
The worker's standard input is one end of the pair, so closing ours is the controller's death. A
thread takes the worker's messages as they come; `health` is always the last report, everything else
is in `said`, in order. Messages are taken apart by field number (proto/control.proto), by the few
lines of protobuf below: a generated module would need protoc at test time.
"""

import contextlib
import socket
import struct
import threading

import rdl

_ROLE_CONTROLLER = 1
_HELLO, _HELLO_ACK, _HEALTH, _READY, _DRAIN, _SHUTDOWN, _EXIT_NOTICE = 1, 2, 3, 4, 5, 6, 7
_FORWARD_CHANGE = 11
_STATUS = {0: "Unknown", 1: "True", 2: "False"}


def _varint(value):
    out = b""
    while value > 0x7F:
        out += bytes([value & 0x7F | 0x80])
        value >>= 7
    return out + bytes([value])


def message(*fields):
    """(number, int | str | bytes) in order."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += _varint(number << 3) + _varint(value)
        else:
            data = value.encode() if isinstance(value, str) else value
            out += _varint(number << 3 | 2) + _varint(len(data)) + data
    return out


def _take_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """{number: [values]}; values are int or bytes."""
    out, at = {}, 0
    while at < len(data):
        key, at = _take_varint(data, at)
        value, at = _take_varint(data, at)
        if key & 7 == 2:
            value, at = data[at:at + value], at + value
        out.setdefault(key >> 3, []).append(value)
    return out


def _text(found, number):
    return found.get(number, [b""])[0].decode()


def _report(data):
    """{component: ({condition: (status, reason, message)}, {counter: value})}"""
    out = {}
    for component in fields(data).get(2, []):
        c = fields(component)
        conditions = {_text(f, 1): (_STATUS[f.get(2, [0])[0]], _text(f, 3), _text(f, 4))
                      for f in map(fields, c.get(3, []))}
        counters = {_text(f, 1): f.get(2, [0])[0] for f in map(fields, c.get(4, []))}
        out[_text(c, 1)] = (conditions, counters)
    return out


class Controller:
    """Starts `rdlinkd --worker KIND OPTIONS`; `start` are the options of Session.start(). `programs`
    is another folder than RDL_BIN, `version` what Hello says, `extra` further fields of it."""

    def __init__(self, session, kind, *options, programs=None, version=(1, 1), extra=(), **start):
        self._ours, theirs = socket.socketpair()
        self._kind = kind
        self.health = {}
        self.said = []  # "ready", ("forward", protocol, local, remote, removed), ("exit", reason)
        with theirs:
            self.worker = session.start(
                f"{kind}-worker", [rdl.binary("rdlinkd", programs), "--worker", kind, *options],
                stdin=theirs, **start)
        session.at_end(self.die)
        self._send(_HELLO, message((1, version[0]), (2, version[1]), (3, _ROLE_CONTROLLER), *extra))
        threading.Thread(target=self._listen, daemon=True).start()

    # ---- what it says

    def ready(self):
        return "ready" in self.said

    def condition(self, name):
        """(status, reason, message), all empty before the first report."""
        conditions, _ = self.health.get(self._kind, ({}, {}))
        return conditions.get(name, ("", "", ""))

    def counter(self, name):
        _, counters = self.health.get(self._kind, ({}, {}))
        return counters.get(name, 0)

    def wait_condition(self, name, reason, timeout=20):
        rdl.wait_until(lambda: self.condition(name)[1] == reason, timeout,
                       f"{name} is {reason}, not {self.condition(name)}")

    # ---- what it is told

    def forward(self, protocol, local, remote, removed=False):
        entry = message((1, protocol), (2, local), (3, remote))
        self._send(_FORWARD_CHANGE, message((1, entry), (2, int(removed))))

    def say(self, number, body=b""):
        """Any message at all."""
        self._send(number, body)

    def drain(self):
        self._send(_DRAIN, message((1, 1000)))

    def shut_down(self):
        self._send(_SHUTDOWN, message((1, "the test is over")))

    def die(self):
        """The end of the stream is what the worker sees; what it still says is read, because
        unread words would make it a reset."""
        with contextlib.suppress(OSError):
            self._ours.shutdown(socket.SHUT_WR)

    def exit_code(self, timeout=10):
        return self.worker.popen.wait(timeout)

    # ---- the wire

    def _send(self, number, body):
        envelope = message((number, body))
        self._ours.sendall(struct.pack("<I", len(envelope)) + envelope)

    def _receive(self, size):
        data = b""
        while len(data) < size:
            piece = self._ours.recv(size - len(data))
            if not piece:
                raise ConnectionResetError
            data += piece
        return data

    def _listen(self):
        with contextlib.suppress(OSError), self._ours:
            while True:
                size, = struct.unpack("<I", self._receive(4))
                for number, bodies in fields(self._receive(size)).items():
                    self._take(number, bodies[0])

    def _take(self, number, body):
        found = fields(body)
        if number == _HEALTH:
            self.health = _report(body)
        elif number == _READY:
            self.said.append("ready")
        elif number == _FORWARD_CHANGE:
            f = fields(found[1][0])
            self.said.append(("forward", _text(f, 1), _text(f, 2), _text(f, 3),
                              bool(found.get(2, [0])[0])))
        elif number == _EXIT_NOTICE:
            self.said.append(("exit", _text(found, 2)))
