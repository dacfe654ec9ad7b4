# SPDX-License-Identifier: Apache-2.0
"""A raw HTTP/1.1 client over unix sockets: what the docker CLI does not show.

It reads what arrives and judges nothing; a test sees status, headers and exactly the bytes that
followed. Every call is bounded by its timeout.
"""

import dataclasses
import json
import socket
import time


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict
    body: bytes
    seconds: float  # from before connect() to the last byte

    def json(self):
        return json.loads(self.body)


def connect(path, timeout=5):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(timeout)
    try:
        s.connect(path)
    except OSError:
        s.close()
        raise
    return s


def head(method, target, headers=(), body=b""):
    lines = [f"{method} {target} HTTP/1.1", "Host: docker", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def request(path, method, target, timeout=5, body=b"", headers=("Connection: close",)):
    """One request on a connection of its own; everything up to the end of the stream."""
    began = time.monotonic()
    with connect(path, timeout) as s:
        s.sendall(head(method, target, headers, body))
        raw = read_all(s)
    return parse(raw, time.monotonic() - began)


def read_all(s):
    chunks = []
    while chunk := s.recv(65536):
        chunks.append(chunk)
    return b"".join(chunks)


def read_head(s):
    """Up to the empty line; returns (head, what came behind it)."""
    raw = b""
    while b"\r\n\r\n" not in raw:
        chunk = s.recv(65536)
        if not chunk:
            raise ConnectionError(f"stream ended within the head: {raw!r}")
        raw += chunk
    top, _, rest = raw.partition(b"\r\n\r\n")
    return top, rest


def parse(raw, seconds=0.0):
    """Splits an answer; ConnectionError when it is none or cut short."""
    top, separator, body = raw.partition(b"\r\n\r\n")
    if not separator or not top.startswith(b"HTTP/1."):
        raise ConnectionError(f"no HTTP answer: {raw[:200]!r}")
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = {k.strip().lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    return Answer(int(first.split()[1]), headers, body, seconds)
