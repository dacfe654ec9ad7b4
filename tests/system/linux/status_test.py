# SPDX-License-Identifier: Apache-2.0
"""The status as its readers see it: Node's http client as the UI has it, a raw client, `rdlink`.

The guest is the real agent in front of a docker engine that can only say that it is there, so that
this module needs neither root nor an engine.
"""

import json
import os
import pathlib
import pty
import resource
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_engine
import rdl_http
import rdl_link

PATH = "/v1/status"
session = None
host = None

# Polls over one kept-alive connection, as the UI does, and prints what it saw as one JSON line
# after each answer. A line on standard input asks for the next poll.
NODE_POLLER = """
const http = require('http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
let tag = null;
require('readline').createInterface({ input: process.stdin }).on('line', () => {
  const headers = tag ? { 'If-None-Match': tag } : {};
  const options = { socketPath: process.argv[1], path: '/v1/status', agent, headers };
  const request = http.request(options, (answer) => {
    const chunks = [];
    answer.on('data', (chunk) => chunks.push(chunk));
    answer.on('end', () => {
      tag = answer.headers.etag;
      const text = Buffer.concat(chunks).toString();
      console.log(JSON.stringify({ code: answer.statusCode, tag, reused: request.reusedSocket,
                                   body: text ? JSON.parse(text) : null }));
    });
  });
  request.on('error', (error) => console.log(JSON.stringify({ error: String(error) })));
  request.end();
});
"""


# Debian's Python has the parser; prints the first sample of each family.
PARSE_OPENMETRICS = """
import json, sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families
families = text_string_to_metric_families(sys.stdin.read())
print(json.dumps({f.name: f.samples[0].value for f in families if f.samples}))
"""


# A service that nobody configured, in a /run of its own, is killed; then it is asked how it is.
KILLED_SERVICE = """
set -e
mount -t tmpfs none /run
mkdir -p /run/rdlink/vms
"$1" run --config-root /run/none 2>/dev/null &
"$2" wait --for Ready=NoVirtualMachine --timeout 20s
until grep -q NoVirtualMachine /run/rdlink/status.json; do sleep 0.05; done
kill -9 $!
wait $! || true
exec "$2" status
"""


def setUpModule():
    global session, host
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)
    engine = rdl_engine.PingEngine(session.path("docker.sock"))
    session.at_end(engine.close)
    rdl_link.Agent(session, engine.path)
    host = rdl_link.Host(session)
    rdl.wait_until(lambda: host.status()["ready"], 20, "the status is Ready")


def get(*headers, method="GET", path=PATH, **options):
    return rdl_http.request(host.status_socket, method, path,
                            headers=(*headers, "Connection: close"), **options)


def tag_of(answer):
    return {name.lower(): value for name, value in answer.headers.items()}["etag"]


class Raw(unittest.TestCase):
    def test_every_part_is_there_when_ready(self):
        status = host.status()
        self.assertEqual((status["apiVersion"], status["phase"], status["ready"]),
                         ("rdlink.v1", "Ready", True))
        self.assertEqual(status["program"]["pid"], host.process.pid)
        self.assertEqual([c["state"] for c in status["components"]], ["SERVING"])
        self.assertEqual([e["state"] for e in status["endpoints"]], ["listening"])
        instance, = status["instances"]
        self.assertEqual((instance["vm"], instance["generation"]), ("vm1", "v2"))
        self.assertTrue(instance["agent"]["serving"])

    def test_a_worker_has_given_up_what_it_does_not_need(self):
        status = host.status()
        self.assertEqual(status["program"]["account"], f"uid {os.getuid()}")
        worker = status["components"][0]
        self.assertEqual(worker["account"], status["program"]["account"])
        # Of root's rights it keeps the one that lets it reach a socket of another user's machine.
        rights = "1 capability" if os.getuid() == 0 else "no capabilities"
        self.assertTrue(worker["token"].startswith(f"{rights}, no new privileges"), worker)

    def test_known_tag_gets_304(self):
        # A counter may make a new generation between two requests, so a few tries are fair.
        def not_modified():
            tag = tag_of(get())
            answer = get(f"If-None-Match: {tag}")
            return answer.status == 304 and answer.body == b"" and tag_of(answer) == tag
        rdl.wait_until(not_modified, 5, "304 for the tag just given")

    def test_generation_is_the_tags(self):
        answer = get()
        self.assertTrue(tag_of(answer).endswith(f"-{answer.json()['generation']}\""))

    def test_wrong_requests_are_explained(self):
        for want, method, path in ((404, "GET", "/"), (405, "POST", PATH), (405, "DELETE", PATH)):
            with self.subTest(method=method, path=path):
                answer = get(method=method, path=path)
                self.assertEqual(answer.status, want)
                self.assertIn("message", answer.json())

    def test_a_thousand_slow_clients_slow_nobody(self):
        """They connect and say half a request; a reader of its own is served at once all the while.
        """
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 4096)), hard))
        slow, times = [], []
        try:
            for i in range(1000):
                slow.append(rdl_http.connect(host.status_socket))
                slow[-1].sendall(b"GET /v1/status HTT")
                if i % 5 == 0:
                    answer = get()
                    self.assertEqual(answer.status, 200)
                    times.append(answer.seconds)
        finally:
            for client in slow:
                client.close()
        times.sort()
        print(f"\nstatus beside 1,000 slow clients: p50 {times[100] * 1e3:.1f} ms, "
              f"p99 {times[197] * 1e3:.1f} ms")
        self.assertLess(times[197], 0.050)

    def test_every_counter_of_the_status_is_a_metric(self):
        """By its place: the label has the part's name, the family what kind of part it is."""
        status = get().json()
        metrics = get(path="/metrics").body.decode()
        wanted = {f'rdlink_component_value{{component="{c["name"]}",name="{name}"}}'
                  for c in status["components"] for name in c["counters"]}
        for instance in status["instances"]:
            parts = {"instance": instance, "bridge": instance["agent"], "net": instance["netAgent"]}
            wanted |= {f'rdlink_{kind}_value{{vm="{instance["vm"]}",name="{name}"}}'
                       for kind, part in parts.items() if part for name in part["counters"]}
        told = {line.rpartition(" ")[0] for line in metrics.splitlines()}
        self.assertGreater(len(wanted), 20)
        self.assertEqual(wanted - told, set())

    def test_metrics_pass_anothers_parser(self):
        answer = get(path="/metrics")
        self.assertIn("application/openmetrics-text", answer.headers["content-type"])
        done = subprocess.run(["/usr/bin/python3", "-c", PARSE_OPENMETRICS], input=answer.body,
                              capture_output=True, timeout=20)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        families = json.loads(done.stdout)
        self.assertEqual(families["rdlink_ready"], 1)
        self.assertIn("rdlink_component_restarts", families)

    def test_health_resources(self):
        self.assertEqual((get(path="/healthz").status, get(path="/readyz").status), (200, 200))

    def test_a_long_poll_hears_of_a_change(self):
        """Counters make a generation now and then: a poll ends within seconds in any case."""
        generation = get().json()["generation"]
        answer = get(path=f"{PATH}?wait=20s&since={generation}", timeout=25)
        self.assertEqual(answer.status, 200)
        self.assertGreater(answer.json()["generation"], generation)

    def test_events_tell_of_a_restarted_worker(self):
        with rdl_http.connect(host.status_socket, 20) as reader:
            reader.sendall(rdl_http.head("GET", "/v1/events"))
            events = reader.makefile("rb")
            before = next_event(events)
            os.kill(host.worker()["pid"], signal.SIGKILL)

            def restarted():
                now = next_event(events)["components"][0]
                return now["restarts"] > before["components"][0]["restarts"]
            rdl.wait_until(restarted, 20, "an event tells of the restart")
        rdl.wait_until(lambda: host.status()["ready"], 20, "Ready again")


def next_event(lines):
    """The data of the next one."""
    for line in lines:
        if line.startswith(b"data: "):
            return json.loads(line[6:])
    raise ConnectionError("the events ended")


class Node(unittest.TestCase):
    def setUp(self):
        self.node = session.start(
            "node", [rdl.tool("node", "nodejs"), "-e", NODE_POLLER, host.status_socket],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.stop)

    def stop(self):
        self.node.stop()
        self.node.popen.stdin.close()
        self.node.popen.stdout.close()

    def poll(self):
        self.node.popen.stdin.write("\n")
        self.node.popen.stdin.flush()
        return json.loads(self.node.popen.stdout.readline())

    def test_polling_reuses_its_connection_and_sees_changes_only(self):
        first = self.poll()
        self.assertEqual((first["code"], first["body"]["phase"]), (200, "Ready"))
        answers = [self.poll() for _ in range(20)]
        self.assertTrue(all(a["reused"] for a in answers), answers)
        self.assertGreaterEqual(sum(a["code"] == 304 for a in answers), 15)
        worker = host.worker()
        os.kill(worker["pid"], signal.SIGKILL)

        def restarted():
            body = self.poll()["body"]
            return body and body["components"][0]["restarts"] == worker["restarts"] + 1 and body
        seen = rdl.wait_until(restarted, 10, "the poller sees the restart")
        self.assertEqual(seen["components"][0]["lastExit"]["signal"], signal.SIGKILL)
        rdl.wait_until(lambda: host.status()["ready"], 20, "Ready again")


def rdlink(*words, **options):
    options.setdefault("env", session.env())
    return subprocess.run([options.pop("program", rdl.binary("rdlink")), *words],
                          capture_output=True, text=True, timeout=30, **options)


def address(path):
    return f"--address=unix:{path}"


class CommandLine(unittest.TestCase):
    def test_ready_is_0(self):
        done = rdlink("status", address(host.status_socket))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        self.assertRegex(done.stdout, r"^rdlinkd \S+: Ready for \d")
        self.assertRegex(done.stdout, r"\ndocker +SERVING ")
        self.assertLessEqual(max(map(len, done.stdout.splitlines())), 80)

    def test_json_is_the_services_own(self):
        done = rdlink("status", "--json", env=session.env(RDLINK_STATUS=f"unix:{host.status_socket}"))
        self.assertEqual(done.returncode, 0)
        status, served = json.loads(done.stdout), host.status()
        self.assertEqual(status["program"], served["program"])
        self.assertEqual(set(status), set(served))

    def test_version_names_the_commit_that_was_built(self):
        told = json.loads(rdlink("version", "--json").stdout)
        self.assertEqual((told["name"], told["protocol"]["major"]), ("rdlink", 1))
        self.assertRegex(told["commit"], r"^([0-9a-f]{40}(-dirty)?|unknown)$")
        if (rdl.ROOT / ".git").exists():
            self.assertNotEqual(told["commit"], "unknown")

    def test_no_guest_is_1_and_says_what_to_do(self):
        other = rdl.Session()
        self.addCleanup(other.close)
        alone = rdl_link.Host(other)
        done = rdlink("status", address(alone.status_socket))
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stdout, r"^rdlinkd \S+: (Waiting|Starting) ")
        self.assertIn("\n  why   ", done.stdout)
        self.assertIn("\n  next  ", done.stdout)

    def test_not_running_is_2(self):
        done = rdlink("status", address(session.path("nobody.sock")))
        self.assertEqual((done.returncode, done.stdout), (2, ""))
        self.assertIn("not running", done.stderr)
        self.assertIn("\n  next  ", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "only root can have another /run")
    def test_a_service_that_was_killed_leaves_its_last_words(self):
        done = rdlink("--mount", "--pid", "--fork", "--kill-child", "sh", "-c", KILLED_SERVICE, "sh",
                      rdl.binary("rdlinkd"), rdl.binary("rdlink"),
                      program=rdl.tool("unshare", "util-linux"))
        self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
        self.assertIn("not running", done.stderr)
        self.assertIn("\n  last  Waiting: NoVirtualMachine: ", done.stderr)

    def test_something_else_behind_the_address_is_2(self):
        done = rdlink("status", address(session.path("docker.sock")))
        self.assertEqual(done.returncode, 2)
        self.assertIn("no status from", done.stderr)

    def test_service_that_hangs_is_2_within_its_timeout(self):
        other = rdl.Session()
        self.addCleanup(other.close)
        hung = rdl_link.Host(other)
        hung.process.send(signal.SIGSTOP)
        done = rdlink("status", address(hung.status_socket), "--timeout=300ms")
        hung.process.send(signal.SIGCONT)
        self.assertEqual(done.returncode, 2)
        self.assertIn("no answer within 300 ms", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become somebody without permission")
    def test_no_permission_is_3(self):
        with tempfile.TemporaryDirectory(prefix="rdl-", dir="/tmp") as folder:
            os.chmod(folder, 0o755)
            program = shutil.copy(rdl.binary("rdlink"), folder)
            done = rdlink("status", address(host.status_socket), program=program, cwd="/",
                          user=65534, group=65534, extra_groups=[])
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("no permission", done.stderr)

    def on_terminal(self, *words, enough, **env):
        """What it prints on a terminal, until `enough` of it is there."""
        outer, inner = pty.openpty()
        shown = subprocess.Popen([rdl.binary("rdlink"), *words, address(host.status_socket)],
                                 stdout=inner, stderr=inner, env=session.env(**env))
        os.close(inner)
        seen = b""

        def read():
            nonlocal seen
            if select.select([outer], [], [], 0)[0]:
                seen += os.read(outer, 65536)
            return enough(seen)
        try:
            rdl.wait_until(read, 10, f"enough of {words} is shown", every=0.02)
        finally:
            shown.kill()
            shown.wait()
            os.close(outer)
        return seen

    def test_colour_and_a_live_table_are_for_a_terminal(self):
        def has_table(seen):
            return b"endpoint/docker" in seen
        self.assertIn(b"\033[32mReady\033[0m", self.on_terminal("status", enough=has_table))
        self.assertNotIn(b"\033", self.on_terminal("status", enough=has_table, NO_COLOR="1"))
        self.assertNotIn("\033", rdlink("status", address(host.status_socket)).stdout)
        self.on_terminal("status", "--watch", enough=lambda seen: seen.count(b"\033[H\033[2J") >= 2)

    def test_wrong_usage_is_4(self):
        for words in ((), ("stats",), ("status", "--jason"), ("status", "--address", "nonsense")):
            with self.subTest(words=words):
                done = rdlink(*words)
                self.assertEqual((done.returncode, done.stdout), (4, ""))


if __name__ == "__main__":
    rdl.main()
