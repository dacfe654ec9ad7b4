# SPDX-License-Identifier: Apache-2.0
"""Everything that people do with rdlink at once, for as long as something breaks behind it.

    docker    rdl_load.Load on the endpoint
    status    GET /v1/status
    connect   guest -> switch -> host: a connection of its own, 4 KiB there and back
    dns       guest -> switch: a name of the switch's own zone
    flow      one connection through the switch that lasts, every byte of it compared

Each is a thread that goes on whatever happens and notes when each attempt began and how it ended.
A fault is over when one attempt of each kind that began after it has succeeded. `flow` is not among
those: when a broken connection goes on again is decided by the retransmission timer of the guest's
TCP. It is asked whether it went on, from the same connection or a new one, and whether any byte was
wrong, ever.
"""

import contextlib
import hashlib
import json
import socket
import struct
import threading
import time

import rdl
import rdl_http
import rdl_load

HOST_ALIAS, GATEWAY = "192.168.127.254", "192.168.127.1"
NAME, ADDRESS = "host.rancher-desktop.internal", HOST_ALIAS
_PAUSE_S = 0.04
_PATIENCE_S = 0.4   # of one attempt within the guest's network
_TCP_RTO_MAX_MS = 44  # Linux 6.15: how far a guest's TCP may back off


class DockerLoad(rdl_load.Load):
    """Two clients, not eight: here everything runs at once."""

    CLIENTS = 2
    PAUSE = 0.02

    def take(self):
        """All outcomes so far, which are then forgotten."""
        with self._lock:
            taken, self.outcomes = self.outcomes, []
        return taken

    def first_served(self, since):
        with self._lock:
            return min((o.ended for o in self.outcomes
                        if o.kind == "served" and o.began >= since), default=None)


class Attempts:
    """Calls `once` until stopped; an exception of the network is a failed attempt."""

    def __init__(self, once):
        self._once = once
        self._done = []  # (began, ended, text of the failure or None)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self):
        while not self._stop.wait(_PAUSE_S):
            began, failure = time.monotonic(), None
            try:
                self._once()
            except (OSError, ValueError) as error:
                failure = repr(error)
            with self._lock:
                self._done.append((began, time.monotonic(), failure))

    def take(self):
        with self._lock:
            taken, self._done = self._done, []
        return taken

    def first_served(self, since):
        with self._lock:
            return min((ended for began, ended, failure in self._done
                        if failure is None and began >= since), default=None)

    def last_failure(self):
        with self._lock:
            return next((f for _, _, f in reversed(self._done) if f), None)

    def stop(self):
        self._stop.set()
        self._thread.join()


class Flow:
    """A connection from the guest to an echo of the host that is kept as long as it lives."""

    def __init__(self, connect):
        self._connect = connect
        self._stop = threading.Event()
        self._conn = None
        self.ended = []        # why each connection ended that was not asked to
        self.exchanged = 0     # bytes, compared
        self.last_began = 0.0  # of the last exchange that came back whole
        self.wrong = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self):
        self._stop.set()
        conn = self._conn
        if conn:
            with contextlib.suppress(OSError):
                conn.shutdown(socket.SHUT_RDWR)
        self._thread.join()

    def _run(self):
        while not self._stop.wait(_PAUSE_S):
            with contextlib.suppress(OSError), self._connect() as conn:
                self._conn = conn
                _notice_a_dead_end(conn)
                try:
                    self._exchange_on(conn)
                except OSError as error:
                    if not self._stop.is_set():
                        self.ended.append(repr(error))

    def _exchange_on(self, conn):
        number = 0
        while not self._stop.wait(_PAUSE_S):
            number += 1
            data = _block(number)
            began = time.monotonic()
            conn.sendall(data)
            back = read_exactly(conn, len(data))
            if len(back) < len(data):
                raise ConnectionResetError("ended within an answer")
            if back != data:
                self.wrong = f"block {number} of {len(data)} bytes came back changed"
            self.exchanged += len(data)
            self.last_began = began


def _block(number):
    """Bytes that no other block has, of a length that changes: 32 bytes to 64 KiB."""
    seed = hashlib.sha256(number.to_bytes(8, "big")).digest()
    return seed * (1 + int.from_bytes(seed[:2], "big") % 2048)


def _notice_a_dead_end(conn):
    """A switch that forgot the connection answers a keep-alive with a reset. One that stands still
    is waited for: the guest's kernel, which cannot be stopped, must not give up first."""
    conn.settimeout(120)
    for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1),
                          (socket.TCP_KEEPCNT, 100), (socket.TCP_USER_TIMEOUT, 110_000)):
        conn.setsockopt(socket.IPPROTO_TCP, option, value)
    conn.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    with contextlib.suppress(OSError):
        conn.setsockopt(socket.IPPROTO_TCP, _TCP_RTO_MAX_MS, 1000)


def read_exactly(conn, size):
    data = bytearray()
    while len(data) < size and (piece := conn.recv(size - len(data))):
        data += piece
    return bytes(data)


class Traffic:
    """All of it, from `with` to its end. `guest` opens sockets of the guest's namespace
    (rdl_net.socket_in), `host` is an rdl_link.Host."""

    def __init__(self, host, open_socket):
        self._host = host
        self._open_socket = open_socket
        self._echo = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self._echo.getsockname()[1]
        self.status = {}  # the last one
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        self.docker = DockerLoad(self._host.endpoint)
        self.docker.__enter__()
        self.probes = {"status": Attempts(self._ask_status), "connect": Attempts(self._echo_once),
                       "dns": Attempts(self._ask_name)}
        self.flow = Flow(lambda: self._connect(timeout=3))
        return self

    def __exit__(self, *_):
        self.docker.stop()
        for probe in self.probes.values():
            probe.stop()
        self.flow.stop()

    def close(self):
        with contextlib.suppress(OSError):
            self._echo.shutdown(socket.SHUT_RDWR)
        self._echo.close()

    def forget(self):
        """All attempts so far; the outcomes of docker's are returned."""
        for probe in self.probes.values():
            probe.take()
        return self.docker.take()

    def served_at(self, since):
        """{kind: when the first attempt that began after `since` was served, None: not yet}"""
        kinds = {"docker": self.docker, **self.probes}
        return {kind: probe.first_served(since) for kind, probe in kinds.items()}

    def wait_served(self, since, timeout):
        """Moment by which everything was served again."""
        def all_served():
            at = self.served_at(since)
            return None not in at.values() and max(at.values())
        try:
            return rdl.wait_until(all_served, timeout, "everything is served", every=0.01)
        except rdl.Timeout as late:
            missing = [kind for kind, at in self.served_at(since).items() if at is None]
            why = {kind: self.probes[kind].last_failure() for kind in missing
                   if kind in self.probes}
            raise rdl.Timeout(f"{late}: not {', '.join(missing)} {why}") from None

    # ---- one attempt of each

    def _ask_status(self):
        answer = rdl_http.request(self._host.status_socket, "GET", "/v1/status", timeout=2)
        if answer.status != 200:
            raise ValueError(f"HTTP {answer.status}")
        self.status = json.loads(answer.body)
        if not self.status["ready"]:
            raise ValueError("not ready")

    def _connect(self, timeout=_PATIENCE_S):
        conn = self._open_socket(socket.AF_INET, socket.SOCK_STREAM, timeout=timeout)
        try:
            conn.connect((HOST_ALIAS, self.port))
        except OSError:
            conn.close()
            raise
        return conn

    def _echo_once(self):
        data = _block(int(time.monotonic() * 1e6))[:4096]
        with self._connect() as conn:
            conn.sendall(data)
            if read_exactly(conn, len(data)) != data:
                raise ValueError("another echo came")

    def _ask_name(self):
        labels = b"".join(bytes([len(p)]) + p.encode() for p in NAME.split("."))
        head = struct.pack(">6H", 99, 0x0100, 1, 0, 0, 0)
        with self._open_socket(socket.AF_INET, socket.SOCK_DGRAM, timeout=_PATIENCE_S) as s:
            s.sendto(head + labels + struct.pack(">BHH", 0, 1, 1), (GATEWAY, 53))
            answer = s.recv(2048)
        if answer[:2] != head[:2] or socket.inet_ntoa(answer[-4:]) != ADDRESS:
            raise ValueError(f"another answer came: {answer!r}")

    # ---- the host's end of the connections

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self._echo.accept()
                threading.Thread(target=_echo_all, args=(conn,), daemon=True).start()


def _echo_all(conn):
    with contextlib.suppress(OSError), conn:
        while data := conn.recv(1 << 16):
            conn.sendall(data)
