# SPDX-License-Identifier: Apache-2.0
"""./dev bench switch [--json FILE] [--reps N] [--seconds S] [--subjects a,b] [--cells a,b]
[--mtus 1500,65520]: the host switch beside other user-mode network stacks and beside no stack.

THEORY
    guest namespace                                host namespace
    iperf3, switch_load -> tap -> relay_tap -unix- SUBJECT -> 10.99.0.1: iperf3, switch_load

Both namespaces are made for the subject and end with it; nothing in them reaches this machine's
network. The guest is the kernel's own stack behind relay_tap, as rdlink-agent behind our agent;
slirp4netns opens its tap itself.
taptap and taptap_vnet have a second relay_tap as the subject, without and with virtio-net headers:
both ends are kernels, so that is what the framing and the relay leave at best.

Subjects take turns within a repetition, because the machine is shared and what it gives varies more
between minutes than between them: so compare within one run. Processor time is that of the
subject's process alone, per GB that arrived. With --json each line is {"bench","cell","subject",
"rep","value","unit"}. A subject that cannot run here is named and left out; GVPROXY=PATH adds
gvisor-tap-vsock, RDL_ALSO=PATH a second rdlinkd (before-v2, before-qemu): what a change gained.
"""

import argparse
import contextlib
import json
import os
import pathlib
import re
import select
import signal
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import rdl  # noqa: E402

BENCH = rdl.ROOT / "build/release/bench"
HOST, GUEST, GATEWAY = "10.99.0.1", "192.168.127.2", "192.168.127.1"
MAC = "5a:94:ef:e4:0c:ee"
LOAD_PORT = 9000
IDLE_FLOWS = 1000
SLOW_START_BYTES = 8e6
BESIDE_PAUSE_US = 1000
CELLS = ("tcp", "latency", "connect", "dns", "memory")


class Failed(Exception):
    """This subject, or this cell of it, did not work; the text says how."""


class Net:
    """The two namespaces, each held by a process that sleeps, and what one needs to act in them."""

    def __init__(self, session):
        self.session = session
        self.host, self.guest = (self._hold(name) for name in ("host", "guest"))
        self.ip(self.host, "link add lan0 type veth peer name lan1")  # a dummy device is rarer
        self.ip(self.host, f"addr add {HOST}/24 dev lan0")
        for device in ("lan0", "lan1"):
            self.ip(self.host, f"link set {device} up")
        self.ip(self.host, "route add default via 10.99.0.254 dev lan0")  # passt looks for one

    def _hold(self, name):
        holder = self.session.start(f"{name} namespace", [
            rdl.tool("unshare", "util-linux"), "--net", "sh", "-c",
            "ip link set lo up; echo 1024 65000 >/proc/sys/net/ipv4/ip_local_port_range;"
            "echo 1 >/proc/sys/net/ipv4/tcp_tw_reuse; echo 8192 >/proc/sys/net/core/somaxconn;"
            "echo ready; exec sleep infinity"])
        rdl.wait_until(lambda: "ready" in holder.log(), 5, f"the {name}'s namespace")
        return holder

    def run(self, where, argv, timeout):
        return subprocess.run(self.argv(where, argv), capture_output=True, text=True,
                              timeout=timeout, check=False, env=self.session.env())

    def argv(self, where, argv):
        return ["nsenter", f"--net=/proc/{where.pid}/ns/net", *map(str, argv)]

    def ip(self, where, words):
        done = self.run(where, [rdl.tool("ip", "iproute2"), *words.split()], 10)
        if done.returncode:
            raise Failed(f"ip {words}: {done.stderr.strip()}")

    def load(self, *words, timeout=60):
        """One client run in the guest: its `name value` pairs."""
        try:
            done = self.run(self.guest, [BENCH / "switch_load", *words], timeout)
        except subprocess.TimeoutExpired as error:
            raise Failed(f"switch_load {words[0]} did not end in {timeout} s") from error
        if done.returncode:
            raise Failed(f"switch_load {words[0]}: {done.stderr.strip()}")
        out = done.stdout.split()
        return dict(zip(out[::2], map(float, out[1::2])))

    def carried(self):
        """Bytes of frames that the guest's interface has sent and received."""
        for line in pathlib.Path(f"/proc/{self.guest.pid}/net/dev").read_text().splitlines():
            name, _, counters = line.partition(":")
            if name.strip() == "eth0":
                return int(counters.split()[0]) + int(counters.split()[8])
        raise Failed("the guest has no eth0")

    def iperf_argv(self, streams, way, seconds):
        return [rdl.tool("iperf3", "iperf3"), "-c", HOST, "-J", "--connect-timeout", 5000,
                "-t", seconds, "-P", streams, *(["-R"] if way == "down" else [])]

    def iperf(self, streams, way, seconds):
        """Gbit/s and bytes that arrived; again while the server is busy with the one before."""
        for _ in range(20):
            try:
                done = self.run(self.guest, self.iperf_argv(streams, way, seconds), seconds + 30)
            except subprocess.TimeoutExpired as error:
                raise Failed(f"iperf3 {way} x{streams} did not end") from error
            if "busy" not in done.stdout:
                return iperf_result(done.stdout)
            time.sleep(0.1)
        raise Failed("the iperf3 server stays busy")


def iperf_result(text):
    try:
        result = json.loads(text)
    except ValueError as error:
        raise Failed(f"iperf3: {text.strip()[-200:]}") from error
    end = result["end"].get("sum_received")
    if not end:
        raise Failed(f"iperf3: {result.get('error', 'no result')}")
    return end["bits_per_second"] / 1e9, end["bytes"]


# ---- subjects --------------------------------------------------------------------------------
# Each starts the subject, connects a guest, and returns the process that is measured.


def relay(net, protocol, mtu, path, guest=True):
    where, name = (net.guest, "relay") if guest else (net.host, "subject")
    words = ["--mac", MAC, "--connect", path] if guest else ["--listen", path]
    return net.session.start(name, [BENCH / "relay_tap", "--protocol", protocol, "--mtu", mtu,
                                    *words], net_of=where.pid)


def attach(net, protocol, mtu, path):
    """A guest with an address on that socket."""
    process = relay(net, protocol, mtu, path)
    rdl.wait_until(lambda: "link up" in process.log(), 10, "the guest's link")
    net.ip(net.guest, f"addr add {GUEST}/24 dev eth0")
    net.ip(net.guest, f"route add default via {GATEWAY}")


def listening(process, path):
    def there():
        if not process.alive():
            raise Failed(process.log().strip()[-300:] or "it ended at once")
        return os.path.exists(path)
    rdl.wait_until(there, 10, "its socket exists")


def on_socket(net, argv, protocol, mtu, path):
    process = net.session.start("subject", argv, net_of=net.host.pid)
    listening(process, path)
    attach(net, protocol, mtu, path)
    return process


def rdlink(protocol, program=None):
    def start(net, mtu):
        path = net.session.path("link")
        return on_socket(net, [program or rdl.binary("rdlinkd"), "switch", "--link",
                               f"{protocol}:unix:{path}", "--mtu", mtu], protocol, mtu, path)
    return start


def rdlink_and_agent(net, mtu):
    """Both ends are what ships: our guest in the place of relay_tap."""
    path = net.session.path("link")
    process = net.session.start("subject", [
        rdl.binary("rdlinkd"), "switch", "--link", f"v2:unix:{path}", "--mtu", mtu],
        net_of=net.host.pid)
    listening(process, path)
    net.session.start("agent", [
        rdl.binary("rdlink-agent"), "net", "--link", f"v2:unix:{path}", "--netns", "host",
        "--no-veth", "--address", f"{GUEST}/24", "--mtu", mtu, "--resolv-conf", "", "--hosts", ""],
        net_of=net.guest.pid)
    return process


def taptap(protocol):
    def start(net, mtu):
        path = net.session.path("link")
        process = relay(net, protocol, mtu, path, guest=False)
        listening(process, path)
        attach(net, protocol, mtu, path)
        net.ip(net.host, f"addr add {GATEWAY}/24 dev eth0")
        return process
    return start


def passt(net, mtu):
    net.session.dir.chmod(0o711)  # it makes its socket as nobody
    folder = net.session.dir / "p"
    folder.mkdir()
    folder.chmod(0o777)
    path = str(folder / "s")
    return on_socket(net, [
        rdl.tool("passt", "passt"), "-f", "-q", "-4", "-a", GUEST, "-n", "24", "-g", GATEWAY,
        "-i", "lan0", "-t", "none", "-u", "none", "-m", mtu, "-s", path], "qemu", mtu, path)


def slirp4netns(net, mtu):
    process = net.session.start("subject", [
        rdl.tool("slirp4netns", "slirp4netns"), "--netns-type=path", "--configure", f"--mtu={mtu}",
        f"/proc/{net.guest.pid}/ns/net", "eth0"], net_of=net.host.pid)

    def routed():
        if not process.alive():
            raise Failed(process.log().strip()[-300:])
        return "default" in net.run(net.guest, ["ip", "route"], 5).stdout
    rdl.wait_until(routed, 10, "the guest has a route")
    return process


def gvproxy(net, mtu):
    path = net.session.path("link")
    return on_socket(net, [os.environ["GVPROXY"], "-mtu", mtu, "-listen-qemu", f"unix://{path}",
                           "-listen", f"unix://{net.session.path('control')}", "-ssh-port", "2222"],
                     "qemu", mtu, path)


SUBJECTS = {"rdlink-agent": rdlink_and_agent, "rdlink-v2": rdlink("v2"),
            "rdlink-qemu": rdlink("qemu"), "passt": passt, "slirp4netns": slirp4netns,
            "taptap": taptap("qemu"), "taptap_vnet": taptap("v2")}
if "GVPROXY" in os.environ:
    SUBJECTS["gvproxy"] = gvproxy
if "RDL_ALSO" in os.environ:
    for _protocol in ("v2", "qemu"):
        SUBJECTS[f"before-{_protocol}"] = rdlink(_protocol, os.environ["RDL_ALSO"])
# A name that the subject answers for from its own zone; the others have none.
OWN_NAMES = {name: "host.docker.internal" for name in SUBJECTS
             if name.startswith(("rdlink-", "before-"))}
OWN_NAMES["gvproxy"] = "host.containers.internal"


# ---- measuring -------------------------------------------------------------------------------


class Run:
    def __init__(self, args):
        self.args = args
        self.rows = []
        self.out = open(args.json, "a") if args.json else None

    def add(self, cell, subject, rep, value, unit):
        row = {"bench": "switch", "cell": cell, "subject": subject, "rep": rep,
               "value": round(value, 3), "unit": unit}
        self.rows.append(row)
        if self.out:
            print(json.dumps(row), file=self.out, flush=True)

    def median(self, cell, subject):
        values = [r["value"] for r in self.rows if (r["cell"], r["subject"]) == (cell, subject)]
        return statistics.median(values) if values else None


def tree(pid):
    out = [pid]
    for child in rdl.children_of(pid):
        out += tree(child)
    return out


def cpu_seconds(process):
    total = 0
    for pid in tree(process.pid):
        with contextlib.suppress(OSError):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def resident_kib(process):
    total = 0
    for pid in tree(process.pid):
        with contextlib.suppress(OSError):
            found = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
            total += int(found.group(1)) if found else 0
    return total


class Measure:
    """The cells of one subject in one repetition, at one MTU."""

    def __init__(self, run, name, rep, mtu, net, process):
        self.run, self.name, self.rep, self.mtu = run, name, rep, mtu
        self.net, self.process = net, process
        self.seconds = run.args.seconds

    def add(self, cell, value, unit):
        self.run.add(f"{cell} mtu {self.mtu}", self.name, self.rep, value, unit)

    def tcp(self):
        for streams in (1, 8):
            for way in ("up", "down"):
                before = cpu_seconds(self.process)
                rate, size = self.net.iperf(streams, way, self.seconds)
                self.add(f"tcp {way} x{streams}", rate, "Gbit/s")
                if size:
                    cost = (cpu_seconds(self.process) - before) / (size / 1e9)
                    self.add(f"cpu {way} x{streams}", cost, "s/GB")

    def _latency(self, beside, pause_us):
        got = self.net.load("latency", HOST, LOAD_PORT, self.seconds, pause_us)
        for which in ("p50", "p99", "max"):
            self.add(f"latency {which} {beside}", got[f"{which}_us"], "us")

    def latency(self):
        """Beside bulk an exchange begins each millisecond at most: one that follows the last at
        once would find a moment's lull a hundred times, and hide what the rest of the time was."""
        self._latency("idle", 0)
        for way in ("up", "down"):
            start = self.net.carried()
            bulk = self.net.session.start(
                f"bulk {way}", self.net.iperf_argv(8, way, self.seconds + 3),
                net_of=self.net.guest.pid)
            rdl.wait_until(lambda: self.net.carried() > start + SLOW_START_BYTES, 10,
                           "the bulk flows")
            start, began = self.net.carried(), time.monotonic()
            self._latency(f"beside 8 {way}", BESIDE_PAUSE_US)
            rate = (self.net.carried() - start) * 8e-9 / (time.monotonic() - began)
            self.add(f"tcp {way} x8 meanwhile", rate, "Gbit/s")
            if not bulk.alive():
                raise Failed(f"the bulk {way} ended before the last exchange beside it came back")
            rdl.wait_until(lambda: not bulk.alive(), self.seconds + 30, "the bulk's end")

    def connect(self):
        for threads in (1, 16):
            got = self.net.load("connect", HOST, LOAD_PORT, self.seconds, threads)
            self.add(f"connects x{threads}", got["per_s"], "1/s")
            if got["errors"]:
                self.add(f"connect errors x{threads}", got["errors"], "")

    def dns(self):
        if self.name not in OWN_NAMES:
            return
        for window in (1, 32):
            got = self.net.load("dns", GATEWAY, OWN_NAMES[self.name], self.seconds, window)
            self.add(f"dns window {window}", got["per_s"], "1/s")
            if got["lost"] or got["bad"]:
                self.add(f"dns lost or bad window {window}", got["lost"] + got["bad"], "")

    def memory(self):
        self.add("memory idle", resident_kib(self.process), "KiB")
        holder = subprocess.Popen(
            self.net.argv(self.net.guest,
                          [BENCH / "switch_load", "idle", HOST, LOAD_PORT, IDLE_FLOWS]),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=self.net.session.env())
        try:
            if not select.select([holder.stdout], [], [], 30)[0]:
                raise Failed(f"{IDLE_FLOWS} idle flows did not open in 30 s")
            self.add("idle flows", int(holder.stdout.readline().split()[1]), "")
            self.add(f"memory {IDLE_FLOWS} flows", resident_kib(self.process), "KiB")
        finally:
            holder.kill()
            holder.wait()
            holder.stdin.close()
            holder.stdout.close()


def one_subject(run, name, rep, mtu, cells):
    with rdl.Session() as session:
        net = Net(session)
        load = session.start("load server", [BENCH / "switch_load", "serve", LOAD_PORT],
                             net_of=net.host.pid)
        iperf = session.start("iperf3 server", [rdl.tool("iperf3", "iperf3"), "-s", "-B", HOST,
                                                "--forceflush"], net_of=net.host.pid)
        rdl.wait_until(lambda: "listening" in load.log(), 5, "the load server listens")
        rdl.wait_until(lambda: "listening" in iperf.log(), 5, "the iperf3 server listens")
        measure = Measure(run, name, rep, mtu, net, SUBJECTS[name](net, mtu))
        first_exchange(net)
        for cell in cells:
            try:
                getattr(measure, cell)()
            except (Failed, rdl.Timeout) as error:
                say(f"{name}, {cell}, MTU {mtu}: {error}")


def fresh_starts(cells):
    """Memory is that of a subject that carried nothing else, and a thousand flows that were
    dropped at once are no beginning for another cell."""
    apart = [cell for cell in cells if cell == "memory"]
    return [group for group in (apart, [c for c in cells if c not in apart]) if group]


def first_exchange(net):
    def works():
        with contextlib.suppress(Failed):
            return net.load("connect", HOST, LOAD_PORT, 0.05, 1, timeout=5)["per_s"] > 0
        return False
    rdl.wait_until(works, 15, "the guest reaches the host")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def table(run, subjects):
    cells = list(dict.fromkeys((r["cell"], r["unit"]) for r in run.rows))
    print(f"{'':44}" + "".join(f"{s:>13}" for s in subjects))
    for cell, unit in cells:
        values = [run.median(cell, s) for s in subjects]
        print(f"{cell + ' ' + unit:44}" + "".join(
            f"{'-' if v is None else round(v, 3):>13}" for v in values))
    print("load average " + " ".join(f"{x:.2f}" for x in os.getloadavg()))


def options():
    def names(known):
        def parse(text):
            words = text.split(",")
            unknown = [w for w in words if w not in known]
            if unknown:
                raise argparse.ArgumentTypeError(
                    f"no {', '.join(unknown)}; there are {', '.join(known)}")
            return words
        return parse

    parser = argparse.ArgumentParser(prog="./dev bench switch", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="append one object a line to this file")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--subjects", type=names(SUBJECTS), default=list(SUBJECTS))
    parser.add_argument("--cells", type=names(CELLS), default=list(CELLS))
    parser.add_argument("--mtus", type=lambda text: [int(m) for m in text.split(",")],
                        default=[1500, 65520])
    return parser.parse_args()


def main():
    args = options()
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        sys.exit("bench: needs root and /dev/net/tun")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # sessions end
    os.environ.setdefault("RDL_BIN", str(rdl.ROOT / "build/bin"))
    run = Run(args)
    left_out = set()
    for rep in range(args.reps):
        for mtu in args.mtus:
            for name in args.subjects:
                if (name, mtu) in left_out:
                    continue
                say(f"repetition {rep + 1} of {args.reps}: {name}, MTU {mtu}")
                try:
                    for cells in fresh_starts(args.cells):
                        one_subject(run, name, rep, mtu, cells)
                except (Failed, rdl.Skip, rdl.Timeout, OSError) as error:
                    left_out.add((name, mtu))
                    say(f"{name} with MTU {mtu} cannot run here and is left out: {error}")
    table(run, args.subjects)


if __name__ == "__main__":
    main()
