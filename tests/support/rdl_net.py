# SPDX-License-Identifier: Apache-2.0
"""A host and a guest for the switch, each a network namespace of its own.

THEORY
    guest namespace                          host namespace
    programs -> kernel -> eth0 -> relay_tap -unix- rdlinkd switch -> 10.99.0.1, name server, ...

Nothing in them reaches this machine's network. The host side has, beside its loopback,

    10.99.0.1      the host's address on its network
    10.98.0.0/16   nobody answers, ever: a connection attempt is silence
    10.97.0.0/16   no route: unreachable at once

The switch runs in the host's namespace with a resolv.conf of its own. The guest's frames go through
the fast relay of tests/bench; `Guest(..., through=...)` puts link_relay between it and the switch.
A socket keeps the namespace it was made in, so the test itself talks from either side.
"""

import contextlib
import ctypes
import json
import os
import pathlib
import re
import socket
import subprocess
import threading

import rdl

GATEWAY, GUEST, ALIAS = "192.168.127.1", "192.168.127.2", "192.168.127.254"
MAC = "5a:94:ef:e4:0c:ee"
HOST, SILENT, UNREACHABLE = "10.99.0.1", "10.98.0.0", "10.97.0.0"
IPERF_PORT = 5201
_NOBODY, _NOBODYS_MAC = "10.99.0.66", "02:00:00:00:00:66"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def helper(name):
    """Path of a program of tests/bench, which has no sanitizers in any build."""
    folder = pathlib.Path(rdl.binary("rdlinkd")).parents[1]
    for path in (folder / "bench" / name, folder / "release/bench" / name):
        if path.exists():
            return str(path)
    raise FileNotFoundError(f"{name} is not built (./dev build)")


def shipped(name):
    """A program as it ships, where its speed is what is looked at; else the one of this build."""
    folder = rdl.plain_binaries()
    return str(folder / name) if folder else rdl.binary(name)


def socket_in(pid, *args, timeout=20):
    """socket.socket(*args) of the network namespace of that process."""
    made = []

    def work():
        with open(f"/proc/{pid}/ns/net", "rb") as namespace:
            if _libc.setns(namespace.fileno(), _CLONE_NEWNET) != 0:
                made.append(OSError(ctypes.get_errno(), "setns"))
                return
        made.append(socket.socket(*args))

    thread = threading.Thread(target=work)  # only it changes its namespace
    thread.start()
    thread.join()
    if isinstance(made[0], OSError):
        raise made[0]
    made[0].settimeout(timeout)
    return made[0]


class Space:
    """A network namespace, which lives as long as the process that holds it."""

    def __init__(self, session, name):
        if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
            raise rdl.Skip("needs root and /dev/net/tun")
        self.session, self.name = session, name
        self._resolv_conf = None
        holder = session.start(f"{name} namespace", [
            rdl.tool("unshare", "util-linux"), "--net", "sh", "-c",
            "ip link set lo up; cd /proc/sys/net; echo 1024 65000 >ipv4/ip_local_port_range;"
            "echo 1 >ipv4/tcp_tw_reuse; echo 8192 >core/somaxconn;"
            "echo 0 2147483647 >ipv4/ping_group_range; echo ready; exec sleep infinity"])
        rdl.wait_until(lambda: "ready" in holder.log(), 10, f"the {name}'s namespace")
        self.pid = holder.pid

    def name_server(self, address):
        """What programs of this side find in /etc/resolv.conf from now on."""
        self._resolv_conf = self.session.path(f"{self.name}.resolv.conf")
        pathlib.Path(self._resolv_conf).write_text(f"nameserver {address}\n")

    def _wrap(self, argv):
        argv = [str(a) for a in argv]
        if not self._resolv_conf:
            return argv
        return [rdl.tool("unshare", "util-linux"), "--mount", "sh", "-c",
                'mount --bind "$0" /etc/resolv.conf && exec "$@"', self._resolv_conf, *argv]

    def start(self, name, argv, **options):
        return self.session.start(name, self._wrap(argv), net_of=self.pid, **options)

    def popen(self, argv, **options):
        """A program that the caller ends; text both ways."""
        return subprocess.Popen(
            [rdl.tool("nsenter", "util-linux"), f"--net=/proc/{self.pid}/ns/net",
             *self._wrap(argv)], env=self.session.env(), text=True, **options)

    def run(self, argv, timeout=30, **options):
        """A program to its end."""
        return subprocess.run(
            [rdl.tool("nsenter", "util-linux"), f"--net=/proc/{self.pid}/ns/net",
             *self._wrap(argv)],
            capture_output=True, text=True, timeout=timeout, check=False,
            env=self.session.env(), **options)

    def ip(self, words):
        done = self.run([rdl.tool("ip", "iproute2"), *words.split()])
        if done.returncode:
            raise OSError(f"ip {words}: {done.stderr.strip()}")

    def open_socket(self, *args, timeout=20):
        """socket.socket(*args) of this side."""
        return socket_in(self.pid, *args, timeout=timeout)

    def connect(self, address, timeout=20):
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        s = self.open_socket(family, socket.SOCK_STREAM, timeout=timeout)
        try:
            s.connect(address)
        except OSError:
            s.close()
            raise
        return s

    def device_bytes(self, device):
        """What the interface has received."""
        for line in pathlib.Path(f"/proc/{self.pid}/net/dev").read_text().splitlines():
            name, _, counters = line.partition(":")
            if name.strip() == device:
                return int(counters.split()[0])
        raise OSError(f"no interface {device}")


class Host(Space):
    def __init__(self, session):
        super().__init__(session, "host")
        self.ip("link add lan0 type veth peer name lan1")
        for words in (f"addr add {HOST}/24 dev lan0", "link set lan0 up", "link set lan1 up",
                      f"neigh add {_NOBODY} lladdr {_NOBODYS_MAC} dev lan0 nud permanent",
                      f"route add {SILENT}/16 via {_NOBODY}",
                      f"route add unreachable {UNREACHABLE}/16"):
            self.ip(words)

    def start_switch(self, protocol, *options, program=None, mtu=1500):
        """The switch, listening; the path of its link."""
        path = self.session.path("link")
        process = self.start("switch", [
            program or rdl.binary("rdlinkd"), "switch", "--link", f"{protocol}:unix:{path}",
            "--mtu", mtu, "--log-level", "debug", *options])
        rdl.wait_until(lambda: os.path.exists(path) or not process.alive(), 20, "the switch's link")
        return process, path

    def start_load_server(self, port):
        server = self.start("load server", [helper("switch_load"), "serve", port])
        rdl.wait_until(lambda: "listening" in server.log(), 10, "the load server")
        return server

    def start_iperf(self):
        server = self.start("iperf3 server", [rdl.tool("iperf3", "iperf3"), "-s", "-B", HOST,
                                              "-p", IPERF_PORT, "--forceflush"])
        rdl.wait_until(lambda: "listening" in server.log(), 10, "the iperf3 server")
        return server

    def listen(self, address, port=0):
        """A listening socket and its port."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        s = self.open_socket(family, socket.SOCK_STREAM, timeout=None)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen(128)
        return s


class Guest(Space):
    """The kernel behind the switch whose link is `path`."""

    def __init__(self, session, path, protocol, mtu=1500, offload=True):
        super().__init__(session, "guest")
        self._argv = [helper("relay_tap"), "--protocol", protocol, "--connect", path, "--mac", MAC,
                      "--mtu", mtu, "--again", *([] if offload else ["--no-offload"])]
        self.name_server(GATEWAY)
        self.start_relay()

    def start_relay(self):
        """Its tap is the interface, so a new relay needs the address anew."""
        links = self.relay.log().count("link up") if hasattr(self, "relay") else 0
        self.relay = self.session.start("relay", self._argv, net_of=self.pid)
        rdl.wait_until(lambda: self.relay.log().count("link up") > links, 20, "the guest's link")
        self.ip(f"addr add {GUEST}/24 dev eth0")
        self.ip(f"route add default via {GATEWAY}")

    def iperf_argv(self, *words):
        return [rdl.tool("iperf3", "iperf3"), "-c", HOST, "-p", IPERF_PORT, "-J",
                "--connect-timeout", 5000, *words]

    def iperf(self, *words, timeout=60):
        """iperf3's result, once its server is done with the one before."""
        found = {}

        def done():
            text = self.run(self.iperf_argv(*words), timeout).stdout
            found.update(json.loads(text))
            return "busy" not in found.pop("error", "")
        rdl.wait_until(done, timeout, "iperf3")
        return found


class Server:
    """Each connection of that listening socket is handled by `serve` in a thread."""

    def __init__(self, listener, serve):
        self._listener, self._serve = listener, serve
        self.port = listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self._listener.accept()
                conn.settimeout(60)
                threading.Thread(target=self._one, args=(conn,), daemon=True).start()

    def _one(self, conn):
        with contextlib.suppress(OSError), conn:
            self._serve(conn)

    def close(self):
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which would hold the port
        self._listener.close()


def serve_echo(conn):
    while data := conn.recv(1 << 16):
        conn.sendall(data)


def read_all(conn):
    data = b""
    while piece := conn.recv(1 << 16):
        data += piece
    return data


def counters(log):
    """What the switch counted, from the log of its end."""
    return {name: int(value) for name, value in re.findall(r"\b(\w+)=(\d+)$", log, re.MULTILINE)}


def resident_kib(process):
    text = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+)", text).group(1))
