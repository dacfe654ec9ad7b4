# SPDX-License-Identifier: Apache-2.0
"""What the tests of rdlink-agent share: an echoing engine, a notify socket, an agent under test."""

import contextlib
import os
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl


def release_programs():
    """Folder of what ships, for figures that a sanitizer would spoil."""
    return os.environ.get("RDL_BIN_RELEASE", rdl.ROOT / "build/bin")


class Engine:
    """Listens where docker.sock belongs and sends back what it gets, until the other side ends."""

    def __init__(self, path):
        self.path = path
        self.accepted = 0
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen(4096)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                self.accepted += 1
                threading.Thread(target=self._echo, args=(connection,), daemon=True).start()

    @staticmethod
    def _echo(connection):
        with contextlib.suppress(OSError), connection:
            while data := connection.recv(65536):
                connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)

    def close(self):
        """Nobody listens any more; the file stays, as after a crash."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


class QuietEngine:
    """Accepts and keeps, without a thread per stream: for many idle ones."""

    def __init__(self, path):
        self.held = []
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(path)
        self._server.listen(4096)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                self.held.append(self._server.accept()[0])

    def close(self):
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        for connection in self.held:
            connection.close()


class Notify:
    """systemd's end of the notify protocol. `name` is a path, or "@..." for an abstract socket."""

    def __init__(self, name):
        self.name = name
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.lines = []

    def _drain(self):
        self._socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.lines += self._socket.recv(4096).decode().splitlines()

    def count(self, line):
        self._drain()
        return self.lines.count(line)

    def wait_for(self, start, timeout=10):
        """The first line so far that starts like that."""
        def found():
            self._drain()
            return next((line for line in self.lines if line.startswith(start)), None)
        return rdl.wait_until(found, timeout, f"the agent notifies {start!r}")

    def close(self):
        self._socket.close()


class Agent:
    """`rdlink-agent bridge` on a unix socket, with a target of its own."""

    def __init__(self, session, *options, name="agent", env=None, files=None, wrapper=(),
                 listen=True, programs=None, **popen):
        self.listen = session.path(f"{name}.sock")
        self.target = session.path(f"{name}-docker.sock")
        argv = [*wrapper, rdl.binary("rdlink-agent", programs), "bridge", "--target",
                f"unix:{self.target}", *(["--listen", f"unix:{self.listen}"] if listen else []),
                *options]
        if files:
            argv = [rdl.tool("prlimit", "util-linux"), f"--nofile={files}", "--", *argv]
        self._start = lambda: session.start(name, argv, env=env, **popen)
        self.process = self._start()

    def restart(self):
        self.process = self._start()

    def wait_until_listening(self):
        def listening():
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(self.listen)
            return True
        rdl.wait_until(listening, 10, "the agent listens")
        return self

    def connect(self, timeout=5):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        s.connect(self.listen)
        return s

    def echo(self, text=b"hello"):
        """Sends, ends, and returns everything that comes back."""
        with self.connect() as s:
            s.sendall(text)
            s.shutdown(socket.SHUT_WR)
            return read_to_end(s)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        for line in pathlib.Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        raise AssertionError("no VmRSS")


def read_to_end(s):
    data = b""
    while piece := s.recv(65536):
        data += piece
    return data
