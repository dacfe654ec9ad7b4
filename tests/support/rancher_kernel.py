# SPDX-License-Identifier: Apache-2.0
"""A whole Rancher distribution in front of a kernel, as far as the host can see it.

    kernel <-> eth0 <-> rdl_tap.py <-> KernelGuest (vm-switch) <-> data link <-> rdlinkd

network-setup is rancher_guest.Guest; what it links is carried here the way vm-switch does it: each
frame is two writes, its length as u16 LE and then the frame, and when the link ends both programs
end and are started again, for which the real guest has its service manager. The kernel with its
address and its connections stays.
"""

import contextlib
import os
import pathlib
import select
import socket
import struct
import threading

import rancher_guest
import rdl
import rdl_tap

GATEWAY, ADDRESS, HOST = "192.168.127.1", "192.168.127.2", "192.168.127.254"

_LEASE = """#!/bin/sh
[ "$1" = bound ] || exit 0
ip address replace "$ip/$mask" dev "$interface" || exit 1
ip route replace default via "$router" || exit 1
echo "ip=$ip mask=$mask router=$router dns=$dns mtu=$mtu" >"$LEASE"
"""


class _Frames:
    """Cuts a stream of u16 LE frames into whole ones."""

    def __init__(self):
        self._rest = b""

    def feed(self, data):
        self._rest += data
        while len(self._rest) >= 2:
            size, = struct.unpack_from("<H", self._rest)
            if len(self._rest) < 2 + size:
                return
            yield self._rest[:2], self._rest[2:2 + size]
            self._rest = self._rest[2 + size:]


class KernelGuest:
    def __init__(self, session, machine, generation, name):
        self.links = 0           # data links so far
        self.name = name
        self._session = session
        self._machine, self._generation = machine, generation
        self._setup = None       # network-setup, while it runs
        self._stopping = False
        path = session.path(f"{name}.tap")
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(path)
            listener.listen()
            self.kernel = rdl_tap.Guest(session, path, "stdio", address=None, name=name)
            listener.settimeout(20)
            self._tap, _ = listener.accept()
        self._from_tap = _Frames()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        session.at_end(self.stop)

    def stop(self):
        """The distribution ends; its machine goes on."""
        self._stopping = True
        if self._setup:
            self._setup.stop()
        self._thread.join(10)
        assert not self._thread.is_alive(), f"{self.name} does not end"
        self.kernel.process.stop()
        self._tap.close()

    def ask_address(self):
        """DHCP; returns what the lease says."""
        script = pathlib.Path(self._session.path("udhcpc.sh"))
        lease = pathlib.Path(self._session.path(f"{self.name}.lease"))
        script.write_text(_LEASE)
        script.chmod(0o755)
        os.environ["LEASE"] = str(lease)
        done = self.kernel.run([rdl.tool("busybox", "busybox-static"), "udhcpc", "-n", "-q", "-f",
                                "-t", "20", "-T", "1", "-i", rdl_tap.DEVICE, "-s", script], 40)
        assert done.returncode == 0, f"no lease: {done.stdout}{done.stderr}"
        return dict(word.split("=", 1) for word in lease.read_text().split())

    def ping(self, address):
        done = self.kernel.run([rdl.tool("busybox", "busybox-static"), "ping", "-c", "1", "-W",
                                "10", address])
        return done.returncode == 0

    def cut_link(self):
        """vm-switch dies."""
        self._setup.link.shutdown(socket.SHUT_RDWR)

    # ---- network-setup and vm-switch, again and again ----------------------------------------

    def _run(self):
        while not self._stopping:
            try:
                self._setup = rancher_guest.Guest(self._machine, self._generation)
            except OSError:
                return  # the machine is gone
            if self._stopping:
                self._setup.stop()
            self._setup.wait_end()
            if self._setup.is_linked():
                self.links += 1
                with contextlib.suppress(OSError, ValueError):
                    self._carry(self._setup.link)
            self._setup.stop()

    def _carry(self, link):
        link.setblocking(True)
        from_link = _Frames()
        while True:
            ready, _, _ = select.select([self._tap, link], [], [])
            if self._tap in ready:
                for length, frame in self._from_tap.feed(self._tap.recv(1 << 18)):
                    link.sendall(length)
                    link.sendall(frame)
            if link in ready:
                data = link.recv(1 << 18)
                if not data:
                    return
                self._tap.sendall(b"".join(l + f for l, f in from_link.feed(data)))
