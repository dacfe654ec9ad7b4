# SPDX-License-Identifier: Apache-2.0
"""Rancher's guest, as far as the host can see it: the handshake of generations A and B on a hybrid
vsock socket, byte for byte, followed by the data link.

    Machine   the virtual machine: PATH is the unix socket on which the host says "CONNECT port";
              a connection from the guest to the host's port N is one to the unix socket PATH_N
    Guest     network-setup inside it: serves one connection at a time, writes its signature at
              once, reads five bytes, and leaves with READY to dial the data port

What the host may find instead of a good guest is said with `Behaviour`. Everything that happened to
a guest is in `guest.events`, in order. By hand: rancher_guest.py --path vm1.vsock --generation A
"""

import argparse
import contextlib
import dataclasses
import os
import queue
import socket
import threading
import time

PHRASE = {
    "A": b"github.com/rancher-sandbox/rancher-desktop/src/go/networking",
    "B": b"github.com/rancher-sandbox/rancher-desktop-opensuse/src/go/networking",
}
HANDSHAKE_PORT = {"A": 6669, "B": 6670}
DATA_PORT = {"A": 6656, "B": 6657}
READY = b"READY"

assert len(PHRASE["A"]) == 60 and len(PHRASE["B"]) == 69


@dataclasses.dataclass
class Behaviour:
    phrase: bytes = None     # None = that of the generation
    silent: bool = False     # accepts and never writes
    piece: int = 0           # writes so many bytes at a time (0 = all at once) ...
    pause: float = 0.0       # ... with so many seconds in between
    deaf: bool = False       # reads READY, and never dials the data port


def _close(s):
    """shutdown() first, so that a thread that waits in it comes back."""
    with contextlib.suppress(OSError):
        s.shutdown(socket.SHUT_RDWR)
    s.close()


class Machine:
    """One hybrid socket; ports are opened on it by listen()."""

    def __init__(self, path):
        self.path = str(path)
        self._ports = {}
        self._lock = threading.Lock()
        self._open = set()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(128)
        threading.Thread(target=self._accept_all, daemon=True).start()

    def listen(self, port):
        """A queue of accepted connections, None at its end: the backlog of that port."""
        with self._lock:
            if port in self._ports:
                raise OSError(f"port {port} is taken")
            backlog = self._ports[port] = queue.Queue()
        return backlog

    def unlisten(self, port):
        with self._lock:
            backlog = self._ports.pop(port, None)
        if backlog:
            backlog.put(None)

    def dial(self, port):
        """The guest connects to the host's port; OSError when nobody listens there."""
        s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            s.connect(f"{self.path}_{port}")
        except OSError:
            s.close()
            raise
        return s

    def close(self):
        """The machine is gone, and its socket with it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        _close(self._listener)
        with self._lock:
            ports, connections = list(self._ports), list(self._open)
        for port in ports:
            self.unlisten(port)
        for s in connections:
            _close(s)

    def _accept_all(self):
        while True:
            try:
                s, _ = self._listener.accept()
            except OSError:
                return
            self._open.add(s)
            threading.Thread(target=self._connect, args=(s,), daemon=True).start()

    def _connect(self, s):
        """As the hypervisor: "OK" for a port with a listener, even one that never accepts; for any
        other the connection is closed."""
        try:
            line = b""
            while not line.endswith(b"\n") and len(line) < 32:
                byte = s.recv(1)
                if not byte:
                    break
                line += byte
            word, _, number = line.strip().partition(b" ")
            with self._lock:
                backlog = self._ports.get(int(number)) if word == b"CONNECT" else None
            if backlog is not None:
                s.sendall(b"OK 1073741824\n")
                backlog.put(s)
                return
        except (OSError, ValueError):
            pass
        self._open.discard(s)
        _close(s)


class Guest:
    """network-setup of one generation. Single-shot, like the real one: after READY it dials the
    data port once, and ends when that fails."""

    def __init__(self, machine, generation, behaviour=None):
        self.machine = machine
        self.generation = generation
        self.behaviour = behaviour or Behaviour()
        self.events = []
        self.link = None         # the data link's socket
        self._kept = None        # the connection that brought READY stays open
        self._current = None
        self._stopping = False
        self._backlog = machine.listen(HANDSHAKE_PORT[generation])
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self):
        """The process ends: whatever it had open is closed."""
        self._stopping = True
        self.machine.unlisten(HANDSHAKE_PORT[self.generation])
        for s in (self._current, self._kept, self.link):
            if s:
                _close(s)
        self._thread.join(5)
        assert not self._thread.is_alive(), "the guest's thread does not end"

    def wait_end(self):
        """Until it has dialled the data port, or ended without."""
        self._thread.join()

    def is_linked(self):
        return "linked" in self.events and self.link is not None

    def link_ended(self):
        """The host has closed the data link. What the switch sends until then is thrown away."""
        self.link.setblocking(False)
        try:
            while self.link.recv(1 << 16):
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    def _run(self):
        try:
            if self._handshake() and not self.behaviour.deaf:
                self.link = self.machine.dial(DATA_PORT[self.generation])
                self.events.append("linked")
        except OSError as error:
            self.events.append(f"failed: {error}")

    def _handshake(self):
        while (s := self._backlog.get()) is not None:
            self._current = s
            self.events.append("accepted")
            if self._serve(s):
                self._kept, self._current = s, None
                self.machine.unlisten(HANDSHAKE_PORT[self.generation])
                return True
            _close(s)
        return False

    def _serve(self, s):
        """True when READY came. A host that only looks closes after the signature: "eof" is the
        normal end of the first connection."""
        try:
            self._write_signature(s)
            word = b""
            while len(word) < len(READY):
                data = s.recv(len(READY) - len(word))
                if not data:
                    self.events.append(f"eof after {len(word)}")
                    return False
                word += data
        except OSError as error:
            self.events.append(f"error: {error.strerror}")
            return False
        self.events.append("ready" if word == READY else f"wrong word {word!r}")
        return word == READY

    def _write_signature(self, s):
        b = self.behaviour
        phrase = PHRASE[self.generation] if b.phrase is None else b.phrase
        if b.silent:
            return
        step = b.piece or len(phrase)
        for at in range(0, len(phrase), step):
            if at and b.pause:
                time.sleep(b.pause)  # the slowness of the guest is the point
            s.sendall(phrase[at:at + step])


def main():
    p = argparse.ArgumentParser(description="A scripted Rancher guest on a hybrid vsock socket.")
    p.add_argument("--path", required=True, help="the machine's socket, made here")
    p.add_argument("--generation", action="append", choices=sorted(PHRASE))
    p.add_argument("--silent", action="store_true")
    p.add_argument("--piece", type=int, default=0, metavar="BYTES")
    p.add_argument("--pause", type=float, default=0.0, metavar="SECONDS")
    p.add_argument("--phrase", help="instead of the generation's own")
    args = p.parse_args()
    machine = Machine(args.path)
    behaviour = Behaviour(args.phrase.encode() if args.phrase else None, args.silent, args.piece,
                          args.pause)
    guests = [Guest(machine, g, behaviour) for g in args.generation or ["A"]]
    shown = [0] * len(guests)
    try:
        while True:
            for i, guest in enumerate(guests):
                for event in guest.events[shown[i]:]:
                    print(f"generation {guest.generation}: {event}", flush=True)
                    shown[i] += 1
            time.sleep(0.05)
    except KeyboardInterrupt:
        machine.close()


if __name__ == "__main__":
    main()
