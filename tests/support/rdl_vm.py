# SPDX-License-Identifier: Apache-2.0
"""A virtual machine's sockets, for guests whose programs are several processes.

    Machine   the hypervisor's part of vsock-hybrid: the host says "CONNECT port" at PATH, and is
              led to the unix socket PATH-guest_PORT, where a program of the guest listens. The
              other way needs nobody: the guest connects to PATH_PORT itself.

One program that listens at several ports (rdlink-agent bridge, alone) needs no Machine: it speaks
the convention itself. A program that a Machine leads to listens at `machine.listen_at(port)`.
Bytes are carried by threads of the test: fit for control messages and docker streams, not for a
benchmark.
"""

import contextlib
import os
import socket
import threading

_LINE_MAX = 32


class Machine:
    def __init__(self, path):
        self.path = self._seen_at = str(path)
        self._open = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(128)
        threading.Thread(target=self._accept_all, daemon=True).start()

    def listen_at(self, port):
        """Where a program of the guest listens to be found at `port`."""
        return f"unix:{self._guest_socket(port)}"

    def appear(self, path):
        """The host finds it there; programs of the guest go on listening where they did."""
        os.rename(self._seen_at, path)
        self._seen_at = str(path)

    def cut(self):
        """Every stream ends; the machine goes on."""
        for s in list(self._open):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)

    def close(self):
        """The machine is gone, and its socket with it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._seen_at)
        for s in (self._listener, *list(self._open)):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()

    def _guest_socket(self, port):
        return f"{self.path}-guest_{port}"

    def _accept_all(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(client)
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client):
        """A port without a listener is a closed connection, as a hypervisor does it."""
        with contextlib.closing(client), socket.socket(socket.AF_UNIX) as guest:
            try:
                port = int(self._read_line(client).removeprefix(b"CONNECT "))
                guest.connect(self._guest_socket(port))
                client.sendall(b"OK %d\n" % (1 << 30 | port))
            except (OSError, ValueError):
                self._open.discard(client)
                return
            back = threading.Thread(target=_copy, args=(guest, client), daemon=True)
            back.start()
            _copy(client, guest)
            back.join()
        self._open.discard(client)

    @staticmethod
    def _read_line(client):
        """Byte by byte: what follows the line belongs to the guest."""
        line = b""
        while not line.endswith(b"\n") and len(line) < _LINE_MAX:
            byte = client.recv(1)
            if not byte:
                break
            line += byte
        return line


def _copy(source, target):
    """Until the end of one direction, which is passed on."""
    try:
        while data := source.recv(1 << 16):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        for s in (source, target):
            with contextlib.suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
