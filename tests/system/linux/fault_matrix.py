# SPDX-License-Identifier: Apache-2.0
"""Every fault at random moments under traffic: what must hold meanwhile, and how soon it is over.

    ./dev soak faults [MOMENTS]                        all of FAULTS, 50 times each or as told
    python3 -B tests/system/linux/fault_matrix.py --moments 5 --seed 7 --only "data link cut"

A moment is: everything is served; a pause drawn from the seed; the fault; its end, where it does
not end itself, after a time drawn from the seed; the recovery. The recovery is from the fault (from
its end, where somebody has to end it) to the end of the last of: a docker request, a connection
through the switch, a name, a status that says Ready, of which each began after it. Of a fault that
lasts and that no docker client may notice, the figure is no less than the longest that one waited
meanwhile. A bound is judged after what the machine itself stood still for (rdl.Stalls) was added.

Held at every moment, beside what Fault says: no byte of the lasting connection is wrong, no docker
client is left without an answer, no process is there twice or missing, no worker was restarted that
had nothing to do with it. Held over the run: no process has more descriptors at the end than at the
beginning, or uses the CPU with nothing to do.
"""

import argparse
import dataclasses
import os
import pathlib
import random
import signal
import socket
import statistics
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import fault_world  # noqa: E402
import rdl  # noqa: E402
import rdl_http  # noqa: E402
import rdl_link  # noqa: E402
import rdl_load  # noqa: E402

REFUSED_S = 1.0        # a docker client hears why within that
SILENT_TOLD_S = 4.5    # a question every 2 s, which is given 2 s
SETTLED_S = 30         # until everything is as before, whatever the bound is of
IDLE_S, IDLE_CPU = 3, 0.05
FROZEN_CPU = 0.1        # of one CPU, beside the traffic that is refused meanwhile
# What a fault wears out: how often it may come, and after how long a rest it begins anew. More would
# be judging something else: a worker's back-off, a network that says ShortLivedLinks.
WEARS = {"docker": (4, 31), "switch": (4, 31), "link": (2, 6)}


class Wrong(AssertionError):
    """Something did not hold, and it makes no sense to go on."""


@dataclasses.dataclass
class Fault:
    """One row. `breaks(world, draw)` returns when it has happened; `mends` ends it after `lasts`
    seconds, during which `meanwhile` may look. All get what `breaks` returned.
      docker   untouched: every client is served, none waits longer than the bound
               waits: what was under way may be cut, everybody else is served, some later
               refused: the same, or hears 503 and why within REFUSED_S
               down: clients may find nobody
      told_s   how long it may be before clients hear of it: one that came before is carried, and
               waits as long as it lasts
      flow     kept: the lasting connection goes on; may end
      wears    of WEARS; "docker" and "switch" are also the workers that it costs a restart"""

    name: str
    number: str  # of the matrix in docs/testing.md
    bound_s: float
    breaks: callable
    mends: callable = None
    meanwhile: callable = None
    lasts: tuple = (0.2, 1.2)
    docker: str = "untouched"
    told_s: float = 0
    flow: str = "kept"
    wears: str = ""
    every: int = 1  # at each n-th moment only, being slow


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    rdl.wait_until(lambda: not rdl.is_running(pid), 5, f"{pid} is dead", every=0.002)


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    rdl.wait_until(lambda: rdl.state_of(pid) == "T", 5, f"{pid} stands still", every=0.002)


def worker_faults(kind, **held):
    """The four ends of a worker."""
    def pid(world):
        return world.worker(kind)["pid"]
    rows = (("SIGKILL", "F15", 2, lambda w, _: kill(pid(w))),
            ("SIGSTOP", "F15", 10, lambda w, _: stop(pid(w))),
            ("exit 1", "F15", 2, lambda w, _: w.shim.exit_1(pid(w))),
            ("OOM", "F19", 2, lambda w, _: w.no_memory.kill(pid(w))))
    return [Fault(f"{kind} worker: {end}", number, bound, breaks, wears=kind, **held)
            for end, number, bound, breaks in rows]


# ---- the virtual machine, and the folder that stands for the registry's key


def end_machine(world, _):
    """What runs in it goes with it; the engine stays, which takes longer to start than all of
    ours."""
    for unit in (world.bridge, world.net):
        unit.stop(signal.SIGKILL)
    world.machine.close()
    world.link.cut()


def begin_machine(world, _):
    """Its agents serve by the time that the host sees it."""
    world.make_machine()
    world.bridge.start()
    world.net.start()
    world.show_machine()


def begin_machine_early(world, _):
    """The host sees it before anything in it runs."""
    world.make_machine()
    world.show_machine()
    world.bridge.start()
    world.net.start()


def hide_folder(world, _):
    world.folder.rename(world.session.path("machines-gone"))


def show_folder(world, _):
    pathlib.Path(world.session.path("machines-gone")).rename(world.folder)


def expect_waiting(world, _):
    with rdl.Stalls() as stalls:
        began = time.monotonic()
        rdl.wait_until(lambda: not world.host.status()["instances"], 10,
                       "the status says that there is no machine")
        took = time.monotonic() - began
    if took > 1 + stalls.worst_s:
        raise Wrong(f"the status said after {took:.2f} s that there is no machine")


# ---- docker.sock


def hide_socket(world, _):
    os.rename(world.engine.socket, world.engine.socket + ".gone")


def show_socket(world, _):
    os.rename(world.engine.socket + ".gone", world.engine.socket)


def refuse_at_socket(world, _):
    """A file of that name, whose listener is gone."""
    hide_socket(world, _)
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(world.engine.socket)


def stop_engine(world, _):
    """The kernel goes on to take connections for it."""
    stop(world.engine.process.pid)


def wake_engine(world, _):
    world.engine.process.wake()


def expect_engine_silent(world, _):
    """Those from before it is known wait, as without us, and are judged like all others."""
    expect_silence_told(world)
    for _ in range(5):  # of which the first waits longest
        expect_refused(world.host.endpoint)


def expect_silence_told(world):
    """The status says so in time."""
    with rdl.Stalls() as stalls:
        began = time.monotonic()
        rdl.wait_until(lambda: "EngineSilent" in
                       {c["reason"] for c in world.worker("docker")["conditions"]}, 20,
                       "the status says that the engine is silent")
        took = time.monotonic() - began
    if took > SILENT_TOLD_S + stalls.worst_s:
        raise Wrong(f"the status said after {took:.2f} s that the engine is silent")


def expect_refused(endpoint):
    with rdl.Stalls() as stalls:
        answer = rdl_http.request(endpoint, "GET", "/_ping", timeout=15)
    if answer.status != 503 or not rdl_load.is_docker_error(answer):
        raise Wrong(f"a docker client was answered {answer}")
    if answer.seconds > REFUSED_S + stalls.worst_s:
        raise Wrong(f"a docker client was refused after {answer.seconds:.2f} s")


# ---- time


def sleep_for(seconds):
    def breaks(world, _):
        with world.all_stopped():
            time.sleep(seconds)  # this is what is tested
    return breaks


def freeze_guest(world, _):
    """The machine stands still while the host goes on: after a resume some do, for a while."""
    for pid in (world.bridge.pid, world.net.pid, world.engine.process.pid):
        stop(pid)


def thaw_guest(world, _):
    os.kill(world.bridge.pid, signal.SIGCONT)
    for inside in (world.net.program.process, world.engine.process):
        inside.wake()


def expect_patience(seconds):
    """Who waits for a machine that stands still has little to do, and tells its clients."""
    def meanwhile(world, _):
        before, end = world.cpu_seconds(), time.monotonic() + seconds
        if seconds > SILENT_TOLD_S:
            expect_silence_told(world)
            expect_refused(world.host.endpoint)
        time.sleep(max(0, end - time.monotonic()))  # this is what is tested
        for kind, used in world.cpu_seconds().items():
            if used - before[kind] > FROZEN_CPU * seconds:
                raise Wrong(f"{kind} used {used - before[kind]:.2f} s of CPU in the {seconds} s "
                            "for which the guest stood still")
    return meanwhile


# ---- others at the same doors


def start_second(world, _):
    """One with nothing of its own but its status: it wants the endpoint's name, and the guest's
    data port."""
    second = rdl_link.Host(world.session, name="second", endpoint=world.host.endpoint,
                           options=["--vm-folder", str(world.folder)])
    rdl.wait_until(lambda: second.status()["endpoints"][0]["state"] == "fallback", 20,
                   "the second says that the name is taken")
    return second


def end_second(world, second):
    if second.process.stop() != 0:
        raise AssertionError(f"the second ended badly: {second.process.log()[-2000:]}")


READERS = 300


def read_nothing(world, _):
    """Readers of the status, each with more asked for than its socket holds."""
    readers = []
    for _ in range(READERS):
        try:
            s = rdl_http.connect(world.host.status_socket, timeout=1)
            readers.append(s)
            s.setblocking(False)
            s.send(b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
        except OSError:
            continue  # closed to make room for another: it may
    return readers


def leave(world, readers):
    for s in readers:
        s.close()


def fill_disk(world, _):
    world.fill_disk()


def expect_disk_full(world, _):
    rdl.wait_until(lambda: world.logs_a_line() and
                   world.condition("LogWritable")["reason"] == "LogDiskFull", 10,
                   "the status says that the disk is full")


def free_disk(world, _):
    world.free_disk()
    rdl.wait_until(lambda: world.logs_a_line() and
                   world.condition("LogWritable")["reason"] == "LogWritten", 10,
                   "the log is written again")


FAULTS = [
    *worker_faults("docker", docker="waits"),
    *worker_faults("switch", flow="may end"),
    Fault("agent bridge killed", "F2", 2, lambda w, _: kill(w.bridge.pid), docker="refused"),
    Fault("agent net killed", "F2", 2, lambda w, _: kill(w.net.pid), wears="link"),
    Fault("data link cut", "F1", 1, lambda w, _: w.link.cut(), wears="link"),
    Fault("every stream to the guest cut", "F1", 1, lambda w, _: w.machine.cut(),
          docker="refused"),
    Fault("VM gone, back under a new id", "F4", 1, end_machine, begin_machine, docker="refused",
          flow="may end"),
    Fault("the same, its agents start last", "F4", 1, end_machine, begin_machine_early,
          docker="refused", flow="may end"),
    Fault("folder (registry key) gone and back", "F5", 1, hide_folder, show_folder,
          expect_waiting, docker="refused", flow="may end"),
    Fault("docker.sock gone and back", "F7", 0.5, hide_socket, show_socket, docker="refused"),
    Fault("docker.sock refuses", "F7", 0.5, refuse_at_socket, show_socket, docker="refused"),
    Fault("engine accepts and is silent", "F7", 0.5, stop_engine, wake_engine,
          expect_engine_silent, docker="refused"),
    Fault("wall clock jumps 8 h", "F6", 2, lambda w, _: w.jump_clock(8)),
    Fault("all stopped for 3 s", "F6", 2, sleep_for(3), docker="refused"),
    Fault("all stopped for 60 s", "F6", 2, sleep_for(60), docker="refused",
          every=10),
    Fault("guest stands still for 3 s", "F6", 2, freeze_guest, thaw_guest, expect_patience(3),
          docker="refused", lasts=(0, 0)),
    Fault("guest stands still for 60 s", "F6", 2, freeze_guest, thaw_guest, expect_patience(60),
          docker="refused", told_s=SILENT_TOLD_S, flow="may end", lasts=(0, 0), every=10),
    Fault("disk of the log full", "F14", 1, fill_disk, free_disk, expect_disk_full),
    Fault(f"{READERS} status readers that never read", "L2", 1, read_nothing, leave),
    Fault("a second service at the same doors", "F16", 1, start_second, end_second),
    Fault("controller killed", "F3", 3, lambda w, _: kill(w.controller.pid), docker="down",
          flow="may end"),
]


class Matrix:
    """Runs moments and keeps their figures."""

    def __init__(self, world, seed, log=lambda line: None, pace=1.0):
        """All times that are drawn are multiplied by `pace`."""
        self.log = log
        self.pace = pace
        self.world = world
        self.traffic = world.traffic
        self.draw = random.Random(seed)
        self.took = {}   # name -> seconds
        self.wrong = []  # what did not hold, one line each
        self._worn = {}  # of WEARS -> moments
        self.baseline = None

    # ---- the whole

    def run(self, faults, moments, seconds=None, last=()):
        """`moments` of each fault, in an order that is new each time, and then one of each of
        `last`. No round begins after `seconds`."""
        end = time.monotonic() + (seconds or 1e9)
        with self.traffic:
            self._steady("at the start")
        self.baseline = self._idle_descriptors()
        rounds = [[f for f in faults if number % f.every == 0] for number in range(moments)]
        with self.traffic:
            for these in [*rounds, last]:
                if time.monotonic() < end:
                    self._round(these)
        self._check_idle()

    def _round(self, faults):
        left = list(faults)
        self.draw.shuffle(left)
        while left:
            fault = next((f for f in left if not self._is_worn(f.wears)), None)
            if fault:
                left.remove(fault)
                self.moment(fault)
            else:
                time.sleep(0.5)  # none of them would be judged fairly yet

    def _is_worn(self, what):
        if not what:
            return False
        most, rest_s = WEARS[what]
        later, streak = time.monotonic(), 0
        for at in reversed(self._worn.get(what, [])):
            if later - at >= rest_s:
                break
            later = at
            streak += 1
        return streak >= most

    def moment(self, fault):
        self._steady(f"before '{fault.name}'")
        self._pause(0, 0.8)  # the random moment
        self.traffic.forget()
        before, ended = self.world.restarts(), len(self.traffic.flow.ended)
        with rdl.Stalls() as stalls:
            broken = time.monotonic()
            made = fault.breaks(self.world, self.draw)
            happened = since = time.monotonic()
            if fault.docker == "down":
                self._worn.clear()  # a new controller remembers nothing
            if fault.mends:
                self._pause(*fault.lasts)  # how long it lasts is part of it
                if fault.meanwhile:
                    fault.meanwhile(self.world, made)
                fault.mends(self.world, made)
                since = time.monotonic()
            try:
                over = self.traffic.wait_served(since, fault.bound_s + SETTLED_S)
            except rdl.Timeout as why:
                self.wrong.append(f"'{fault.name}' is not over: {why}; {self.world.trouble()}")
                self.log(self.wrong[-1])
                over = time.monotonic()
        if fault.wears:
            self._worn.setdefault(fault.wears, []).append(over)  # its rest begins now
        self._judge(fault, broken, happened, since, over, stalls.worst_s)
        self._check_world(fault, before, ended)

    def _pause(self, least_s, most_s):
        time.sleep(self.draw.uniform(least_s, most_s) * self.pace)  # its length is what is tested

    # ---- what must hold

    def _judge(self, fault, broken, happened, since, over, stalled_s):
        served = self.traffic.served_at(since)
        outcomes = self.traffic.docker.take()
        took = over - since
        if fault.docker == "untouched" and fault.mends:
            took = max([took, *(o.seconds for o in outcomes)])
        self.took.setdefault(fault.name, []).append(took)
        late = {kind: round(at - since, 3) for kind, at in served.items() if at}
        self.log(f"{fault.name}: {took:.3f} s {late}")
        if took > fault.bound_s + stalled_s:
            self._note(fault, f"took {took:.3f} s (the machine stood still for {stalled_s:.3f} s)")
        bad = {"untouched": ("refused", "cut", "late"), "waits": ("refused", "cut", "late"),
               "refused": ("cut", "late"), "down": ("late",)}[fault.docker]
        wrong = {}
        for o in outcomes:
            is_under_way = o.began <= happened and (
                o.kind == "cut" and o.ended >= broken or o.kind == "late" and o.ended <= happened)
            is_under_way |= (o.kind == "late" and fault.told_s > 0 and
                             o.began <= happened + fault.told_s + stalled_s)
            if o.kind in bad and not (is_under_way and fault.docker != "untouched"):
                wrong.setdefault(o.kind, []).append(o)
            elif o.kind == "refused" and o.seconds > REFUSED_S + stalled_s + (
                    happened - broken if o.began <= happened else 0):
                wrong.setdefault("refused late", []).append(o)
        for kind, several in wrong.items():
            o = several[0]
            self._note(fault, f"{len(several)} docker clients were {kind}; the first came "
                              f"{o.began - happened:.3f} s after it and heard after "
                              f"{o.seconds:.3f} s: {o.detail}")

    def _check_world(self, fault, before, ended):
        world = self.world
        if self.traffic.flow.wrong:
            raise Wrong(f"'{fault.name}': {self.traffic.flow.wrong}")
        if fault.flow == "kept":
            for why in self.traffic.flow.ended[ended:]:
                self._note(fault, f"the lasting connection ended: {why}")
        after = world.restarts()
        for key in before.keys() & after.keys():
            if after[key] > before[key] and key[0].partition("-")[0] != fault.wears:
                self._note(fault, f"{key[0]} was restarted: {world.worker(key[0])['lastExit']}")
        try:
            rdl.wait_until(lambda: set(world.processes().values()) == {1}, 5, "each is there once")
        except rdl.Timeout:
            self._note(fault, f"processes: {world.processes()}")

    def _steady(self, when):
        """Everything is served, both agents are known to be well, and the lasting connection goes
        on."""
        since = time.monotonic()
        try:
            self.traffic.wait_served(since, SETTLED_S)
            rdl.wait_until(self.world.agents_serve, SETTLED_S, "both agents serve")
            rdl.wait_until(lambda: self.traffic.flow.last_began > since, SETTLED_S,
                           "the lasting connection goes on")
        except rdl.Timeout as why:
            raise Wrong(f"{when}: {why}; {self.world.trouble()}") from None

    def _idle_descriptors(self):
        """Once nothing is under way: the lowest of each in a moment."""
        rdl.wait_until(lambda: self.world.condition("Ready")["status"] == "True", SETTLED_S,
                       "all is ready")
        lowest = self.world.descriptors()
        end = time.monotonic() + IDLE_S
        while time.monotonic() < end:
            now = self.world.descriptors()
            lowest = {kind: min(n, lowest[kind]) for kind, n in now.items()}
            time.sleep(0.1)
        return lowest

    def _check_idle(self):
        """After all of it everybody is as idle as before, and has no more open."""
        for kind, count in self._idle_descriptors().items():
            if count > self.baseline[kind]:
                self.wrong.append(f"{kind} has {count} descriptors, {self.baseline[kind]} before")
        before = self.world.cpu_seconds()
        time.sleep(IDLE_S)  # this is what is measured
        for kind, used in self.world.cpu_seconds().items():
            if used - before[kind] > IDLE_CPU * IDLE_S:
                self.wrong.append(f"{kind} used {used - before[kind]:.2f} s of CPU in {IDLE_S} s "
                                  "without anything to do")

    def _note(self, fault, text):
        self.wrong.append(f"'{fault.name}', moment {len(self.took[fault.name])}: {text}")

    # ---- what is shown

    def rows(self, faults):
        """(fault, count, median, worst)"""
        return [(f, len(t), statistics.median(t), max(t))
                for f in faults if (t := self.took.get(f.name))]

    def show(self, faults):
        print(f"{'':<38} {'count':>5} {'median':>8} {'worst':>8} {'bound':>8}")
        for fault, count, median, worst in self.rows(faults):
            print(f"{fault.name:<38} {count:>5} {median:>6.3f} s {worst:>6.3f} s "
                  f"{fault.bound_s:>6.1f} s  {fault.number}")
        flow = self.traffic.flow
        print(f"the lasting connection: {flow.exchanged / 1e6:.0f} MB compared; "
              f"descriptors {self.baseline}")


def seed_of_environment():
    return int(os.environ.get("RDL_SEED", random.SystemRandom().randrange(1 << 32)))


def print_logs(session):
    for name, lines in session.last_lines.items():
        print(f"--- last lines of {name}", *lines, sep="\n", file=sys.stderr)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--moments", type=int, default=50, help="of each fault")
    options.add_argument("--minutes", type=float, help="begin no round after that")
    options.add_argument("--seed", type=int, default=None)
    options.add_argument("--only", action="append", help="a fault by its name; may be repeated")
    given = options.parse_args()
    faults = [f for f in FAULTS if not given.only or f.name in given.only]
    seed = seed_of_environment() if given.seed is None else given.seed
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    print(f"fault_matrix: seed {seed} (--seed {seed} or RDL_SEED repeats the draws)", flush=True)
    with rdl.Session() as session:
        try:
            world = fault_world.World(session)
        except rdl.Skip as why:
            print(f"skipped: {why}")
            sys.exit(rdl.SKIP)
        matrix = Matrix(world, seed, log=lambda line: print(
            time.strftime("%T"), line, file=sys.stderr, flush=True))
        try:
            matrix.run(faults, given.moments, given.minutes and given.minutes * 60)
        except AssertionError as why:
            matrix.wrong.append(f"given up: {why}")
        matrix.show(faults)
        for line in matrix.wrong:
            print(f"WRONG: {line}", flush=True)
    if matrix.wrong:
        print_logs(session)
    left = session.leftovers()
    for trace in left:
        print(f"LEFT BEHIND: {trace}", flush=True)
    sys.exit(1 if matrix.wrong or left else 0)


if __name__ == "__main__":
    main()
