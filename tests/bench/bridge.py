# SPDX-License-Identifier: Apache-2.0
"""./dev bench bridge [--json FILE] [--reps N] [--seconds S] [--subjects a,b]: the guest's bridge
and the host's docker worker beside other relays and a direct connection.

client -unix- SUBJECT -unix- server, all on this machine. Subjects take turns within a repetition,
because the machine is shared and what it gives varies more between minutes than between them: so
compare within one run. With --json each line is {"bench","cell","subject","rep","value","unit"}.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "support"))
import rdl  # noqa: E402

LOAD = str(rdl.ROOT / "build/release/bench/bridge_load")
HAPROXY = """global
 maxconn 4000
defaults
 mode tcp
 timeout connect 5s
 timeout client 1h
 timeout server 1h
frontend f
 bind unix@{listen}
 default_backend b
backend b
 server s unix@{target}
"""
NGINX = """load_module modules/ngx_stream_module.so;
user root;
worker_processes 1;
worker_rlimit_nofile 60000;
daemon off;
error_log /dev/null;
pid {dir}/nginx.pid;
events {{ worker_connections 30000; }}
stream {{ server {{ listen unix:{listen}; proxy_pass unix:{target}; proxy_timeout 1h; }} }}
"""


def rdlink(session, listen, target):
    return [rdl.binary("rdlink-agent"), "bridge", "--listen", f"unix:{listen}", "--control", "none",
            "--target", f"unix:{target}", "--max-connections", "4000"]


def socat(session, listen, target):
    return [rdl.tool("socat", "socat"), "-b65536", f"UNIX-LISTEN:{listen},fork,backlog=4096",
            f"UNIX-CONNECT:{target}"]


def haproxy(session, listen, target):
    config = session.dir / "haproxy.cfg"
    config.write_text(HAPROXY.format(listen=listen, target=target))
    return [rdl.tool("haproxy", "haproxy"), "-f", config]


def nginx(session, listen, target):
    config = session.dir / "nginx.conf"
    config.write_text(NGINX.format(listen=listen, target=target, dir=session.dir))
    return [rdl.tool("nginx", "nginx-light"), "-p", "/usr/share/nginx", "-c", config]


SUBJECTS = {"direct": None, "rdlink": rdlink, "nginx": nginx, "haproxy": haproxy, "socat": socat}


class Run:
    def __init__(self, args):
        self.args = args
        self.rows = []
        self.out = open(args.json, "a") if args.json else None

    def add(self, cell, subject, rep, value, unit):
        row = {"bench": "bridge", "cell": cell, "subject": subject, "rep": rep, "value": value,
               "unit": unit}
        self.rows.append(row)
        if self.out:
            print(json.dumps(row), file=self.out, flush=True)

    def median(self, cell, subject):
        values = [r["value"] for r in self.rows if (r["cell"], r["subject"]) == (cell, subject)]
        return statistics.median(values) if values else None


def load(*args):
    """One client run: its `name value` pairs."""
    words = subprocess.run([LOAD, *map(str, args)], check=True, capture_output=True, text=True,
                           timeout=120).stdout.split()
    return dict(zip(words[::2], map(float, words[1::2])))


def tree(pid):
    out = [pid]
    for child in rdl.children_of(pid):
        out += tree(child)
    return out


def cpu_seconds(pid):
    total = 0
    for process in tree(pid):
        try:
            fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))  # with children that are gone already
        except OSError:
            pass
    return total / os.sysconf("SC_CLK_TCK")


def resident_kib(pid):
    total = 0
    for process in tree(pid):
        try:
            for line in pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
        except OSError:
            pass
    return total


def measure(run, name, rep, path, process):
    seconds = run.args.seconds
    for connections in (1, 8):
        for way in ("up", "down"):
            before = cpu_seconds(process.pid) if process else 0
            got = load("bulk", path, seconds, connections, way)
            run.add(f"bulk {way} x{connections}", name, rep, got["gbit_s"], "Gbit/s")
            if process:
                cost = (cpu_seconds(process.pid) - before) / (got["bytes"] / 1e9)
                run.add(f"cpu {way} x{connections}", name, rep, round(cost, 3), "s/GB")
    for size in (1, 4096):
        got = load("latency", path, seconds, size)
        run.add(f"latency p50 {size} B", name, rep, got["p50_us"], "us")
        run.add(f"latency p99 {size} B", name, rep, got["p99_us"], "us")
    for threads in (1, 8):
        got = load("connect", path, seconds, threads)
        run.add(f"connects x{threads}", name, rep, got["per_s"], "1/s")
        if got["errors"]:
            run.add(f"connect errors x{threads}", name, rep, got["errors"], "")


def measure_idle(run, name, rep, path, process):
    holder = subprocess.Popen([LOAD, "idle", path, "1000"], stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE, text=True)
    try:
        opened = int(holder.stdout.readline().split()[1])
        run.add("idle connections", name, rep, opened, "")
        run.add("memory, 1000 idle", name, rep, resident_kib(process.pid), "KiB")
    finally:
        holder.stdin.close()
        holder.wait(20)


def one_subject(run, name, rep):
    with rdl.Session() as session:
        listen, target = session.path("l.sock"), session.path("t.sock")
        session.start("server", [LOAD, "serve", target])
        rdl.wait_until(lambda: os.path.exists(target), 5, "the server listens")
        if name == "direct":
            measure(run, name, rep, target, None)
            return
        process = session.start(name, SUBJECTS[name](session, listen, target))
        rdl.wait_until(lambda: os.path.exists(listen), 10, f"{name} listens")
        rdl.wait_until(lambda: load("connect", listen, 0.05, 1)["per_s"] > 0, 10, f"{name} relays")
        measure(run, name, rep, listen, process)
        measure_idle(run, name, rep, listen, process)


def table(run, subjects):
    cells = list(dict.fromkeys((r["cell"], r["unit"]) for r in run.rows))
    print(f"{'':24}" + "".join(f"{s:>12}" for s in subjects))
    for cell, unit in cells:
        values = [run.median(cell, s) for s in subjects]
        print(f"{cell + ' ' + unit:24}" + "".join(
            f"{'-' if v is None else round(v, 3):>12}" for v in values))


def main():
    parser = argparse.ArgumentParser(prog="./dev bench bridge", description=__doc__)
    parser.add_argument("--json", help="append one object a line to this file")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--subjects", default=",".join(SUBJECTS))
    args = parser.parse_args()
    subjects = args.subjects.split(",")
    unknown = set(subjects) - set(SUBJECTS)
    if unknown:
        parser.error(f"no subject {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    os.environ.setdefault("RDL_BIN", str(rdl.ROOT / "build/bin"))
    run = Run(args)
    for rep in range(args.reps):
        for name in subjects:
            print(f"bench: repetition {rep + 1} of {args.reps}: {name}", file=sys.stderr)
            one_subject(run, name, rep)
    table(run, subjects)


if __name__ == "__main__":
    main()
