# SPDX-License-Identifier: Apache-2.0
"""The Windows programs under Wine, with the real agent on the Linux side of loopback TCP, which
stands in for hvsock (port/addr.h, tcp-hybrid).

   pipe_client.exe -> \\\\.\\pipe\\NAME -> rdlinkd.exe -> 127.0.0.1:BASE -> rdlink-agent -> docker.sock

One prefix serves all modules, which run one at a time; it is made once and kept in the build tree.
All Wine processes die with `wineserver -k` of that prefix at the end of a session.
"""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl

WINE_RUN = rdl.ROOT / "tests/tools/wine-run"
LIMIT_S = 100  # of one Windows program, by SIGKILL


def windows_program(name):
    """Path of one of this build's .exe files (RDL_WIN_BIN, else the mingw preset's)."""
    folder = pathlib.Path(os.environ.get("RDL_WIN_BIN", rdl.ROOT / "build/win/bin"))
    return rdl.binary(name + ".exe", folder)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def echo_after_end(connection):
    """An engine's end of a hijacked stream: reads to the end, then says it all again. To the
    worker's own question it answers like an engine."""
    data = bytearray()
    while True:
        piece = connection.recv(65536)
        if not piece:
            break
        data += piece
        if data.startswith((b"GET ", b"HEAD ")) and b"\r\n\r\n" in data:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")
            return
    with contextlib.suppress(BrokenPipeError):  # a client that was killed does not listen
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)


class Wine:
    """Wine for the length of a session."""

    def __init__(self, session):
        self._server = rdl.tool("wineserver", "wine64")
        self.session = session
        prefix = os.environ.get("RDL_WINEPREFIX", rdl.ROOT / "build/wineprefix")
        self.env = {"RDL_WINEPREFIX": f"{prefix}-system", "RDL_WINE_TIMEOUT": str(LIMIT_S),
                    "WINEPREFIX": f"{prefix}-system"}
        session.at_end(self._end)
        # A new prefix takes half a minute to make; no test's patience is meant for that.
        self.run(windows_program("rdlinkd"), "version", timeout=300)
        # Services die with the last ordinary process; this one stays.
        self._idle = session.start("idle", [WINE_RUN, windows_program("pipe_client"), "idle"],
                                   env=self.env, stdin=subprocess.PIPE)
        session.at_end(self._idle.popen.stdin.close)

    def _end(self):
        subprocess.run([self._server, "-k"], env=self.session.env(**self.env), check=False,
                       timeout=30)

    def run(self, program, *words, check=True, timeout=LIMIT_S):
        """Runs a program to its end; returns its output (both streams) and exit code. The output
        goes through a file: Windows programs do not write to every unix pipe."""
        with open(self.session.path("out"), "w+b") as out:
            code = subprocess.run([WINE_RUN, program, *map(str, words)], stdout=out, stderr=out,
                                  stdin=subprocess.DEVNULL, env=self.session.env(**self.env),
                                  timeout=timeout + 10, check=False).returncode
            out.seek(0)
            text = out.read().decode(errors="replace").replace("\r\n", "\n")
        if check and code != 0:
            raise AssertionError(f"{program} {words}: exit code {code}: {text}")
        return text, code

    def client(self, *words, **options):
        return self.run(windows_program("pipe_client"), *words, **options)[0]

    def start(self, name, program, *words, **popen):
        return self.session.start(name, [WINE_RUN, program, *map(str, words)],
                                  env={**self.env, "RDL_WINE_TIMEOUT": "250"}, **popen)


class Agent:
    """The real rdlink-agent on Linux, reachable from Wine."""

    def __init__(self, session, target):
        self.base = free_port()
        self.address = f"tcp-hybrid:127.0.0.1:{self.base}"
        self.process = session.start(
            "rdlink-agent", [rdl.binary("rdlink-agent"), "bridge", "--listen", self.address,
                             "--target", f"unix:{target}"])
        rdl.wait_until(self._listens, 20, "rdlink-agent listens")

    def _listens(self):
        with socket.create_connection(("127.0.0.1", self.base), 1):
            return True


class Host:
    """`rdlinkd.exe run`, and what its status pipe says."""

    count = 0

    def __init__(self, wine, *options, pipe=None):
        Host.count += 1
        name = f"rdl-{wine.session.id}-{Host.count}"
        self.wine = wine
        self.pipe = pipe or name
        self.fallback, self.status_pipe = name + "-fallback", name + "-status"
        self._argv = [windows_program("rdlinkd"), "run", "--endpoint", f"npipe:{self.pipe}",
                      "--endpoint-fallback", f"npipe:{self.fallback}",
                      "--status", f"npipe:{self.status_pipe}", *options]
        self.process = wine.start("rdlinkd", *self._argv)

    def status(self):
        """The status as a value; an OSError while there is none."""
        return read_status(self.wine, self.status_pipe)

    def wait_for(self, condition, what, timeout=60):
        """The first status for which the condition holds."""
        def look():
            if not self.process.alive():
                raise AssertionError(f"rdlinkd.exe ended: {self.process.log()}")
            status = self.status()
            return status if condition(status) else None
        return rdl.wait_until(look, timeout, what, every=0.2)


def read_status(wine, pipe):
    text, code = wine.run(windows_program("pipe_client"), "http", pipe, "/v1/status", check=False)
    head, _, body = text.partition("\n\n")  # run() has taken the carriage returns
    if code != 0 or " 200 " not in head.partition("\n")[0]:
        raise OSError(f"no status: {text[:200]}")
    return json.loads(body)
