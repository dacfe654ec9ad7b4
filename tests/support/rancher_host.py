# SPDX-License-Identifier: Apache-2.0
"""Rancher's host, as far as a guest can see it: the handshake of generations A and B on a hybrid
vsock socket, byte for byte, and then somebody at the data port.

    Host(path, "A").probe()    connects to the handshake port, reads the signature, hangs up
    Host(path, "A").ready()    the second connection: READY
    Relay(path, port, switch)  listens at the host's data port and leads each link to the switch's
                               socket; cut() ends the links, as a dying host does

The switch behind a relay is `rdlinkd switch --link stdio:unix:SOCKET`.
"""

import contextlib
import socket
import threading

from rancher_guest import DATA_PORT, HANDSHAKE_PORT, PHRASE, READY


class Host:
    def __init__(self, path, generation):
        self.generation = generation
        self.data_port = DATA_PORT[generation]
        self._path = str(path)

    def connect(self, timeout=10):
        """To the guest's handshake port; ConnectionError when nobody listens there."""
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        try:
            s.connect(self._path)
            s.sendall(b"CONNECT %d\n" % HANDSHAKE_PORT[self.generation])
            line = b""
            while not line.endswith(b"\n"):
                byte = s.recv(1)
                if not byte:
                    raise ConnectionRefusedError("no listener at that port")
                line += byte
        except OSError:
            s.close()
            raise
        return s

    def probe(self):
        """True: the guest is one of this generation. Exactly the signature is read."""
        with self.connect() as s:
            return self._read_signature(s) == PHRASE[self.generation]

    def ready(self):
        """The original does not read the signature, but its close is an orderly one; that of a unix
        socket with something unread would be a reset, which may overtake READY."""
        with self.connect() as s:
            s.sendall(READY)
            self._read_signature(s)

    def _read_signature(self, s):
        said = b""
        while len(said) < len(PHRASE[self.generation]):
            piece = s.recv(len(PHRASE[self.generation]) - len(said))
            if not piece:
                break
            said += piece
        return said


class Relay:
    def __init__(self, path, port, switch):
        self.links = 0
        self._switch = str(switch)
        self._open = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(f"{path}_{port}")
        self._listener.listen(16)
        threading.Thread(target=self._accept_all, daemon=True).start()

    def lead_to(self, switch):
        """Links that come from now on."""
        self._switch = str(switch)

    def cut(self):
        for s in list(self._open):
            _end(s)

    def close(self):
        _end(self._listener)
        self._listener.close()
        self.cut()

    def _accept_all(self):
        with contextlib.suppress(OSError):
            while True:
                guest, _ = self._listener.accept()
                switch = socket.socket(socket.AF_UNIX)
                try:
                    switch.connect(self._switch)
                except OSError:  # there is no switch: the link ends at once
                    guest.close()
                    switch.close()
                    continue
                self.links += 1
                self._open |= {guest, switch}
                for pair in ((guest, switch), (switch, guest)):
                    threading.Thread(target=self._copy, args=pair, daemon=True).start()

    def _copy(self, source, target):
        """The end of either direction is the end of the link."""
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 18):
                target.sendall(data)
        for s in (source, target):
            _end(s)
        self._open.discard(source)
        source.close()


def _end(s):
    """Wakes up whoever waits in it."""
    with contextlib.suppress(OSError):
        s.shutdown(socket.SHUT_RDWR)
