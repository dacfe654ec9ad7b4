# SPDX-License-Identifier: Apache-2.0
"""A guest for the switch out of the kernel's own stack: a tap device in a network namespace.

THEORY
`python3 rdl_tap.py PROTOCOL LINK MTU [ADDRESS/BITS GATEWAY]` makes itself a network namespace and
the tap device eth0 there with the guest's MAC, connects to the switch at LINK, the path of a unix
socket or a TCP port of the namespace it came from (again and again, so that either may start first,
and come back), and carries frames:

    kernel TCP/IP <-> eth0 (tap) <-> this process <-> LINK <-> rdlinkd switch

With v2 the device gets virtio-net headers and segmentation offload; what a read of it returns then
is what goes into a v2 frame, so this program knows no header. With bess the link is a socket of messages,
one a frame. It is written to be plain, not to be
fast; a measurement wants the relay of tests/bench.

`Guest` is the other half, for the test: it starts that process and makes sockets in its namespace,
which they keep for life, so the test talks through the guest's stack from its own threads.
"""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import select
import socket
import struct
import subprocess
import sys
import time

import rdl_net

MAC = "5a:94:ef:e4:0c:ee"
DEVICE = "eth0"
_TUNSETIFF, _TUNSETOFFLOAD, _TUNSETVNETHDRSZ = 0x400454CA, 0x400454D0, 0x400454D8
_IFF_TAP, _IFF_NO_PI, _IFF_VNET_HDR = 0x0002, 0x1000, 0x4000
_CSUM, _TSO4, _TSO6 = 1, 2, 4
_VNET_BYTES = 12
_CLONE_NEWNET = 0x40000000
_LENGTH = {"stdio": "<H", "qemu": ">I", "v2": "<I"}  # and bess, which has none
_libc = ctypes.CDLL(None, use_errno=True)


class Guest:
    """A kernel behind the switch at `path` (or TCP port). `address` None: its interface gets none."""

    def __init__(self, session, path, protocol="qemu", mtu=1500, address="192.168.127.2/24",
                 gateway="192.168.127.1", name="guest"):
        words = [address, gateway] if address else []
        self.process = session.start(
            name, [sys.executable, "-B", __file__, protocol, path, mtu, *words])
        self._session = session

    def ready(self):
        """Its interface is set up."""
        return "up" in self.process.log().split()

    def run(self, argv, timeout=20):
        """A program in its namespace, to its end."""
        return subprocess.run(["nsenter", f"--net=/proc/{self.process.pid}/ns/net", *argv],
                              capture_output=True, text=True, timeout=timeout, check=False)

    def open_socket(self, *args, timeout=20):
        """socket.socket(*args) of its namespace."""
        return rdl_net.socket_in(self.process.pid, *args, timeout=timeout)

    def connect(self, address, family=socket.AF_INET, timeout=20):
        s = self.open_socket(family, socket.SOCK_STREAM, timeout=timeout)
        try:
            s.connect(address)
        except OSError:
            s.close()
            raise
        return s


# ---- the process in the namespace ------------------------------------------------------------


def _open_tap(vnet):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = _IFF_TAP | _IFF_NO_PI | (_IFF_VNET_HDR if vnet else 0)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), flags))
    if vnet:
        fcntl.ioctl(fd, _TUNSETVNETHDRSZ, struct.pack("i", _VNET_BYTES))
        fcntl.ioctl(fd, _TUNSETOFFLOAD, _CSUM | _TSO4 | _TSO6)
    return fd


def _ip(*words):
    subprocess.run(["ip", *words], check=True)


def _configure(mtu, address, gateway):
    pathlib.Path(f"/proc/sys/net/ipv6/conf/{DEVICE}/accept_dad").write_text("0")
    _ip("link", "set", "lo", "up")
    _ip("link", "set", DEVICE, "address", MAC, "mtu", mtu, "up")
    if address:
        _ip("address", "add", address, "dev", DEVICE)
        _ip("route", "add", "default", "via", gateway)
    print("up", flush=True)


def _tcp_socket(outside):
    """A socket of the namespace `outside`."""
    with open("/proc/self/ns/net", "rb") as inside:
        _libc.setns(outside.fileno(), _CLONE_NEWNET)
        try:
            return socket.socket()
        finally:
            _libc.setns(inside.fileno(), _CLONE_NEWNET)


def _connect(link_to, outside, unix_type):
    tcp = link_to.isdigit()
    while True:
        link = _tcp_socket(outside) if tcp else socket.socket(socket.AF_UNIX, unix_type)
        try:
            link.connect(("127.0.0.1", int(link_to)) if tcp else link_to)
            return link
        except OSError:
            link.close()
            time.sleep(0.05)


def _to_switch(tap, link, length):
    """All that waits in the device, as one write."""
    batch = bytearray()
    try:
        while len(batch) < 1 << 20:
            frame = os.read(tap, 1 << 17)
            batch += struct.pack(length, len(frame)) + frame
    except BlockingIOError:
        pass
    link.sendall(batch)


def _to_guest(tap, rest, length):
    """Whole frames of `rest` to the device; returns what is left."""
    at, head = 0, struct.calcsize(length)
    while len(rest) - at >= head:
        size = struct.unpack_from(length, rest, at)[0]
        if len(rest) - at < head + size:
            break
        try:
            os.write(tap, rest[at + head:at + head + size])
        except OSError:
            pass  # the device is full or down: a frame is lost, as on any wire
        at += head + size
    return rest[at:]


def _carry(tap, link, length):
    """Until the link ends."""
    rest = b""
    while True:
        ready, _, _ = select.select([tap, link], [], [])
        if tap in ready:
            _to_switch(tap, link, length)
        if link in ready:
            data = link.recv(1 << 18)
            if not data:
                return
            rest = _to_guest(tap, rest + data, length)


def _carry_messages(tap, link):
    """The same where a message is a frame."""
    while True:
        ready, _, _ = select.select([tap, link], [], [])
        if tap in ready:
            with contextlib.suppress(BlockingIOError):
                while True:
                    link.send(os.read(tap, 1 << 17))
        if link in ready:
            frame = link.recv(1 << 17)
            if not frame:
                return
            with contextlib.suppress(OSError):  # as in _to_guest()
                os.write(tap, frame)


def _main(protocol, link_to, mtu, address=None, gateway=None):
    outside = open("/proc/self/ns/net", "rb")
    if _libc.unshare(_CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    tap = _open_tap(protocol == "v2")
    _configure(mtu, address, gateway)
    unix_type = socket.SOCK_SEQPACKET if protocol == "bess" else socket.SOCK_STREAM
    while True:
        with _connect(link_to, outside, unix_type) as link:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                if protocol == "bess":
                    _carry_messages(tap, link)
                else:
                    _carry(tap, link, _LENGTH[protocol])


if __name__ == "__main__":
    _main(*sys.argv[1:])
