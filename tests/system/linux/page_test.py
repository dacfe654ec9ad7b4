# SPDX-License-Identifier: Apache-2.0
"""The status page: in a real browser, from the real service and from a file, and whom its port refuses.

The guest is the real agent in front of an engine that can only say that it is there. One more virtual
machine has a name that a page must not believe.
"""

import contextlib
import http.client
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl  # noqa: E402
import rdl_browser  # noqa: E402
import rdl_engine  # noqa: E402
import rdl_http  # noqa: E402
import rdl_link  # noqa: E402

HOSTILE = "<script>alert(1)</script>\"'&amp;\u202egpj"
IMAGE = "</script><!--<img src=x onerror=alert(2)>"
REBOUND = "rebound.test"

session = None
host = None
browser = None
port = None
token_file = None


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def setUpModule():
    global session, host, browser, port, token_file
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)
    browser = rdl_browser.Browser(session, names=[REBOUND])
    engine = rdl_engine.PingEngine(session.path("docker.sock"))
    session.at_end(engine.close)
    agent = rdl_link.Agent(session, engine.path)
    port = free_port()
    token_file = pathlib.Path(session.path("page-token"))
    host = rdl_link.Host(session, options=[
        "--vm", f"vm1=vsock-hybrid:{agent.vsock}",
        "--vm", f"{HOSTILE}=vsock-hybrid:{session.path('nobody.vsock')}",
        "--page", f"tcp:127.0.0.1:{port}", "--status-file", session.path("status.json")])
    rdl.wait_until(lambda: host.status()["ready"], 20, "the status is Ready")
    rdl.wait_until(token_file.exists, 20, "the token is written")


def rdlink(*words):
    return subprocess.run([rdl.binary("rdlink"), *words], capture_output=True, text=True, timeout=30,
                          env=session.env(RDLINK_STATUS=f"unix:{host.status_socket}"))


def address():
    done = rdlink("page")
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def get(path="/v1/status", to=None, **headers):
    """Status, headers (in lower case) and body; by default as the page's own script asks."""
    asked = {"Host": f"127.0.0.1:{to or port}",
             "Authorization": f"Bearer {token_file.read_text().strip()}"}
    asked.update({name.replace("_", "-"): value for name, value in headers.items()})
    connection = http.client.HTTPConnection("127.0.0.1", to or port, timeout=10)
    with contextlib.closing(connection):
        connection.putrequest("GET", path, skip_host=True)
        for name, value in asked.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()


class Doors(unittest.TestCase):
    """Whom the port refuses."""

    def test_the_token_is_the_owners_alone_and_opens_the_status(self):
        self.assertEqual(token_file.stat().st_mode & 0o777, 0o600)
        self.assertRegex(token_file.read_text(), r"\A[0-9a-f]{64}\n\Z")
        status, _, body = get()
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)["page"], {
            "url": f"http://127.0.0.1:{port}/", "tokenFile": str(token_file), "served": True,
            "message": None})

    def test_without_the_token_there_is_the_page_and_nothing_else(self):
        for path in ("/v1/status", "/v1/events", "/metrics", "/healthz", "/readyz", "/nowhere"):
            with self.subTest(path):
                status, headers, body = get(path, Authorization=None)
                self.assertEqual(status, 401)
                self.assertEqual(headers["www-authenticate"], 'Bearer realm="rdlink"')
                self.assertNotIn(b"vm1", body)
        status, headers, body = get("/", Authorization=None)
        self.assertEqual((status, headers["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertNotIn(b"vm1", body)

    def test_a_wrong_token_is_none(self):
        token = token_file.read_text().strip()
        for wrong in (f"Bearer {token[:-1]}", f"Bearer {token}0", f"Basic {token}", "Bearer ", token):
            self.assertEqual(get(Authorization=wrong)[0], 401)
        self.assertEqual(get(f"/v1/status?token={token}", Authorization=None)[0], 401)

    def test_another_host_is_misdirected_token_or_not(self):
        for name in (f"{REBOUND}:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}", f"0.0.0.0:{port}",
                     f"localhost.{REBOUND}:{port}", "", None):
            for path in ("/", "/v1/status"):
                with self.subTest(host=name, path=path):
                    self.assertEqual(get(path, Host=name)[0], 421)
        for name in (f"localhost:{port}", f"[::1]:{port}"):
            self.assertEqual(get(Host=name)[0], 200)

    def test_pages_of_other_sites_get_nothing(self):
        for origin in (f"http://{REBOUND}:{port}", "null", f"https://127.0.0.1:{port}"):
            self.assertEqual(get(Origin=origin)[0], 403)
        self.assertEqual(get(Sec_Fetch_Site="cross-site")[0], 403)
        self.assertEqual(get(Origin=f"http://127.0.0.1:{port}", Sec_Fetch_Site="same-origin")[0], 200)

    def test_no_answer_may_be_kept_framed_or_read_by_others(self):
        for path, wanted in (("/", 200), ("/v1/status", 200), ("/metrics", 200), ("/nowhere", 404)):
            with self.subTest(path):
                status, headers, _ = get(path)
                self.assertEqual(status, wanted)
                self.assertEqual(headers["cache-control"], "no-store")
                self.assertEqual(headers["x-frame-options"], "DENY")
                self.assertEqual(headers["referrer-policy"], "no-referrer")
                self.assertEqual(headers["x-content-type-options"], "nosniff")
                self.assertFalse([name for name in headers if name.startswith("access-control-")])
        policy = get("/")[1]["content-security-policy"]
        self.assertIn("default-src 'none'", policy)
        self.assertIn("frame-ancestors 'none'", policy)
        self.assertNotIn("unsafe", policy)

    def test_who_says_half_a_request_keeps_nobody_out(self):
        """More of them than the page has connections; a whole request is answered all the while."""
        slow = []
        try:
            for _ in range(100):
                slow.append(socket.create_connection(("127.0.0.1", port), 10))
                slow[-1].sendall(b"GET / HTTP/1.1\r\nHost: 127")
                began = time.monotonic()
                self.assertEqual(get()[0], 200)
                self.assertLess(time.monotonic() - began, 2)
            # Those that were not closed for others end by their deadline.
            slow[-1].settimeout(10)
            self.assertEqual(slow[-1].recv(1), b"")
        finally:
            for s in slow:
                s.close()
        self.assertTrue(host.status()["ready"])

    def test_the_sockets_readers_have_no_page(self):
        self.assertEqual(rdl_http.request(host.status_socket, "GET", "/").status, 404)
        self.assertEqual(rdl_http.request(host.status_socket, "GET", "/v1/status").status, 200)

    def test_other_places_are_refused_at_the_start(self):
        for place, says in (("tcp:0.0.0.0:8080", "not a loopback address"),
                            ("tcp:192.168.1.1:8080", "not a loopback address"),
                            ("tcp:127.0.0.2:8080", "127.0.0.1:PORT"), ("unix:/x", "127.0.0.1:PORT")):
            with self.subTest(place):
                done = subprocess.run(
                    [rdl.binary("rdlinkd"), "run", "--page", place, "--page-token-file", "/dev/null"],
                    capture_output=True, text=True, timeout=30, env=session.env())
                self.assertEqual(done.returncode, 4)
                self.assertIn(says, done.stderr)

    def test_a_taken_port_is_told_and_taken_when_it_is_free(self):
        with socket.socket() as holder:
            holder.bind(("127.0.0.1", 0))
            holder.listen()
            taken = holder.getsockname()[1]
            other = rdl.Session()
            self.addCleanup(other.close)
            second = rdl_link.Host(other, options=["--page", f"tcp:127.0.0.1:{taken}",
                                                   "--page-token-file", other.path("token")])
            page = rdl.wait_until(lambda: second.status()["page"]["message"] and second.status()["page"],
                                  10, "the status says why there is no page")
            self.assertFalse(page["served"])
            self.assertFalse(pathlib.Path(other.path("token")).exists())
        rdl.wait_until(lambda: second.status()["page"]["served"], 15, "the page is served")


class Live(unittest.TestCase):
    """What a person sees."""

    def tearDown(self):
        for tab in self.tabs:
            tab.close()
            self.assertEqual(tab.errors, [])
            for url in tab.requests:
                self.assertTrue(url.startswith((f"http://127.0.0.1:{port}/", "data:")), url)

    def setUp(self):
        self.tabs = []

    def open(self, url=None, **how):
        self.tabs.append(browser.open(url or address(), **how))
        return self.tabs[-1]

    def ready(self, **how):
        tab = self.open(**how)
        tab.wait("document.querySelector('#verdict strong')?.innerText === 'Ready'", "Ready")
        return tab

    def test_it_says_that_it_works_and_since_when(self):
        tab = self.ready()
        self.assertRegex(tab.text("#verdict"), r"^Ready for \d+ (s|min)\n")
        self.assertEqual(tab.eval("document.title"), "rdlink: Ready")
        self.assertRegex(tab.text("#components"), r"(?s)docker.*SERVING.*running")
        self.assertRegex(tab.text("#guests"), r"(?s)Virtual machine vm1.*control.*Endpoint docker.*listening")
        self.assertIn("docker DockerReachable: True", tab.text("#lanes"))
        self.assertEqual(tab.eval("document.querySelectorAll('#charts svg').length"), 4)
        self.assertIn("Live; last told", tab.text("#freshness"))

    def test_the_token_is_nowhere_to_be_read(self):
        tab = self.ready()
        self.assertEqual(tab.eval("location.href"), f"http://127.0.0.1:{port}/")
        self.assertNotIn(token_file.read_text().strip(), " ".join(tab.requests))
        tab.load()
        tab.wait("document.querySelector('#verdict strong')?.innerText === 'Ready'", "Ready again")

    def test_a_killed_worker_is_seen_and_what_to_do(self):
        tab = self.ready()
        restarts = host.worker()["restarts"]
        # It is back in a tenth of a second: what is shown meanwhile is kept by the page itself.
        tab.eval("window.seen = []; new MutationObserver(() => window.seen.push("
                 "document.querySelector('#verdict').innerText)).observe("
                 "document.querySelector('#verdict'), { childList: true }); true")
        os.kill(host.worker()["pid"], signal.SIGKILL)
        tab.wait(f"/restarts\\n{restarts + 1}/.test(document.querySelector('#components').innerText)",
                 "the restart")
        self.assertRegex(tab.text("#components"), "last exit\nKilled")
        tab.wait("document.querySelector('#verdict strong').innerText === 'Ready'", "Ready again")
        seen = "\n".join(tab.eval("window.seen"))
        self.assertRegex(seen, r"(Degraded|Starting) for \d+ s")
        self.assertIn("What to do (troubleshooting.md, Component", seen)
        spans = "document.querySelectorAll('#lanes .lane:first-child rect, .lane rect.False').length"
        self.assertGreaterEqual(tab.eval(spans), 1)

    def test_hostile_names_are_text(self):
        tab = self.ready()
        titles = tab.eval("[...document.querySelectorAll('#guests h3 bdi')].map((b) => b.textContent)")
        self.assertIn(HOSTILE, titles)
        # Its letters turn nothing that stands beside it.
        self.assertEqual(tab.eval("[...document.querySelectorAll('bdi')].every((b) => "
                                  "getComputedStyle(b).unicodeBidi === 'isolate')"), True)
        self.assertEqual(tab.eval("document.scripts.length"), 3)
        self.assertEqual(tab.eval("document.querySelectorAll('img, iframe, object, a').length"), 0)

    def test_what_is_put_into_it_does_not_run(self):
        tab = self.ready()
        tab.eval("(() => { const s = document.createElement('script');"
                 " try { s.textContent = 'window.ran = 1'; document.body.append(s); } catch {} })()")
        for kind in ("b.setAttribute('onclick', 'window.ran = 2')", "b.innerHTML = '<i>x</i>'"):
            with self.assertRaisesRegex(AssertionError, "requires 'Trusted"):
                tab.eval(f"(() => {{ const b = document.createElement('b'); {kind}; }})()")
        self.assertEqual(tab.eval("fetch('https://example.org/').then(() => 'sent', () => 'kept')"), "kept")
        self.assertIsNone(tab.eval("window.ran"))
        rdl.wait_until(lambda: tab.refused, 10, "the browser tells what it refused")
        tab.requests = [url for url in tab.requests if "example.org" not in url]

    def test_it_fits_a_narrow_dark_screen(self):
        light = self.ready()
        tab = self.ready(size=(320, 800), dark=True)
        self.assertLessEqual(tab.eval("document.documentElement.scrollWidth"), 320)
        ground = "getComputedStyle(document.body).backgroundColor"
        self.assertNotEqual(tab.eval(ground), light.eval(ground))

    def test_headings_regions_and_drawings_have_names(self):
        tab = self.ready()
        self.assertEqual(tab.eval("document.documentElement.lang"), "en")
        self.assertEqual(tab.eval("document.querySelectorAll('h1').length"), 1)
        unnamed = ("[...document.querySelectorAll('section, svg')].filter((e) => !e.ariaLabel && "
                   "!e.getAttribute('aria-label') && !e.getAttribute('aria-labelledby') && "
                   "e.getAttribute('aria-hidden') !== 'true').length")
        self.assertEqual(tab.eval(unnamed), 0)

    def test_without_a_token_it_says_where_to_get_it(self):
        tab = self.open(f"http://127.0.0.1:{port}/")
        tab.wait("document.querySelector('#verdict').innerText.includes('rdlink page')", "the way in")

    def test_a_name_that_was_made_to_lead_here_shows_nothing(self):
        tab = browser.open(f"http://{REBOUND}:{port}/")
        self.addCleanup(tab.close)
        self.assertIn("not the host that was asked for", tab.text("body"))
        self.assertFalse(tab.eval("Boolean(document.querySelector('#verdict'))"))


class Report(unittest.TestCase):
    """The page as a file."""

    def saved(self, *words):
        path = pathlib.Path(session.path(f"{self.id().rpartition('.')[2]}.html"))
        done = rdlink("report", "--html", "-o", str(path), *words)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        return path

    def show(self, path):
        tab = browser.open(path.as_uri())
        self.addCleanup(tab.close)
        self.assertEqual([url for url in tab.requests if not url.startswith(("file:", "data:"))], [])
        self.assertEqual(tab.errors, [])
        return tab

    def test_it_opens_from_a_file_and_asks_nobody(self):
        tab = self.show(self.saved())
        self.assertRegex(tab.text("#verdict"), r"^Ready for \d")
        self.assertTrue(tab.text("#freshness").startswith("Saved "))
        self.assertIn(HOSTILE, tab.eval("document.querySelector('#guests').textContent"))

    def test_with_time_it_shows_what_happened(self):
        collector = subprocess.Popen(
            [rdl.binary("rdlink"), "report", "--html", "--for", "4s", "-o", session.path("for.html"),
             "--address", f"unix:{host.status_socket}"], env=session.env(), stdout=subprocess.DEVNULL)
        rdl.wait_until(lambda: waiting_readers() > 0, 10, "the report waits for changes")
        os.kill(host.worker()["pid"], signal.SIGKILL)
        self.assertEqual(collector.wait(30), 0)
        tab = self.show(pathlib.Path(session.path("for.html")))
        self.assertGreaterEqual(tab.eval("document.querySelectorAll('.lane rect.False').length"), 1)
        self.assertGreaterEqual(
            tab.eval("JSON.parse(document.querySelector('#data').textContent).history.length"), 3)
        rdl.wait_until(lambda: host.status()["ready"], 20, "Ready again")

    def test_a_dead_service_is_shown_from_its_file(self):
        status = host.status()
        for condition in status["conditions"]:
            condition["message"] = condition["reason"] = IMAGE
        status["components"][0]["name"] = IMAGE
        status["endpoints"][0]["address"] = IMAGE
        last = pathlib.Path(session.path("last.json"))
        last.write_text(json.dumps(status))
        path = self.saved("--address", f"unix:{session.path('nobody.sock')}", "--status-file", str(last))
        tab = self.show(path)
        self.assertIn("The service did not answer", tab.text("#verdict"))
        self.assertIn("status file", tab.text("#freshness"))
        self.assertIn(IMAGE, tab.text("#components"))
        self.assertEqual(tab.eval("document.querySelectorAll('img').length"), 0)
        self.assertEqual(tab.eval("document.scripts.length"), 3)


class Drawing(unittest.TestCase):
    """What is drawn of given data: a report whose data is replaced."""

    NOW = 1_800_000_000_000

    @classmethod
    def setUpClass(cls):
        done = rdlink("report", "--html", "-o", "-")
        assert done.returncode == 0, done.stderr
        cls.head, rest = done.stdout.split('id="data">', 1)
        cls.tail = rest[rest.index("</script>"):]

    def show(self, data):
        path = pathlib.Path(session.path(f"{self.id().rpartition('.')[2]}.html"))
        text = data if isinstance(data, str) else json.dumps(data).replace("<", "\\u003c")
        path.write_text(f'{self.head}id="data">{text}{self.tail}', encoding="utf-8")
        tab = browser.open(path.as_uri())
        self.addCleanup(tab.close)
        self.assertEqual(tab.errors, [])
        return tab

    def gathered(self, *statuses, every_s=10):
        first = self.NOW - 1000 * every_s * (len(statuses) - 1)
        return {"savedAt": self.NOW, "from": "service", "history": [
            {"at": first + 1000 * every_s * i, "status": status} for i, status in enumerate(statuses)]}

    @staticmethod
    def iso(ms):
        seconds, rest = divmod(ms, 1000)
        return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:03}Z"

    def status(self, counters=None, conditions=(), phase="Ready"):
        return {"phase": phase, "ready": phase == "Ready", "program": {}, "conditions": list(conditions),
                "source": {}, "instances": [], "endpoints": [],
                "components": [{"name": "switch", "state": "SERVING", "counters": counters or {},
                                "conditions": []}]}

    def condition(self, status, reason, since_ms, kind="Ready"):
        return {"type": kind, "status": status, "reason": reason, "message": reason,
                "lastTransitionTime": self.iso(since_ms)}

    def test_rates_and_levels_are_the_counters(self):
        tab = self.show(self.gathered(
            self.status({"rx_bytes": 5, "dns_own": 10, "dns_failed": 0}),
            self.status({"rx_bytes": 5 + 20480, "tx_bytes": 1000, "dns_own": 15, "dns_forwarded": 10,
                         "dns_failed": 25, "tcp_flows": 3, "udp_flows": 4, "connections_active": 2})))
        self.assertRegex(tab.text("#charts"), r"from guests 2.0 KiB/s - - to guests 100 B/s")
        self.assertRegex(tab.text("#charts"), r"network flows 7 - - docker connections 2")
        self.assertRegex(tab.text("#charts"), r"answered 1.5/s - - failed 2.5/s")

    def test_a_component_that_started_anew_is_no_traffic(self):
        tab = self.show(self.gathered(self.status({"rx_bytes": 1 << 30}), self.status({"rx_bytes": 5})))
        self.assertRegex(tab.text("#charts"), r"from guests 0 B/s")

    def test_forwards_are_listed_with_why_they_wait(self):
        forward = {"vm": HOSTILE, "generation": "A", "proto": "tcp", "guest": "192.168.127.2:80"}
        status = self.status()
        status["forwards"] = [
            {**forward, "host": "127.0.0.1:80", "state": "waiting", "reason": "PortTaken",
             "message": IMAGE},
            {**forward, "host": ":53", "state": "listening", "reason": None, "message": None}]
        tab = self.show(self.gathered(self.status(), status))
        self.assertRegex(tab.text("#forwards"),
                         r"(?s)lead into guests.*tcp 127\.0\.0\.1:80\s+waiting.*192\.168\.127\.2:80"
                         r".*tcp :53\s+listening")
        text = tab.eval("document.querySelector('#forwards').textContent")
        self.assertIn(IMAGE, text)
        self.assertEqual(text.count(HOSTILE), 2)
        tab = self.show(self.gathered(status, self.status()))
        self.assertEqual(tab.text("#forwards"), "")

    def test_conditions_are_bars_of_their_length(self):
        """Ready is false for the last quarter of the two minutes that are shown."""
        good = self.condition("True", "AllServing", self.NOW - 3_600_000)
        bad = self.condition("False", "ComponentRestarting", self.NOW - 30_000)
        tab = self.show(self.gathered(*[self.status(conditions=[good])] * 3,
                                      self.status(conditions=[bad], phase="Degraded"), every_s=40))
        bars = tab.eval("[...document.querySelectorAll('.lane rect')].map((r) => [r.getAttribute('class'),"
                        " Number(r.getAttribute('x')), Number(r.getAttribute('width'))])")
        self.assertEqual(bars, [["True", 0, 750], ["False", 750, 250]])
        self.assertRegex(tab.text("#verdict"), r"^Degraded for 30 s\n")
        self.assertIn("ended and is started again by itself", tab.text("#verdict"))

    def test_a_service_that_went_away_is_said_first(self):
        data = self.gathered(self.status(), self.status())
        data["history"].append({"at": self.NOW, "status": None})
        tab = self.show(data)
        self.assertIn("The service did not answer", tab.text("#verdict"))
        self.assertEqual(tab.eval("document.title"), "rdlink: no answer")

    def test_a_long_history_is_bounded(self):
        many = [self.condition("True", "Fine", self.NOW, f"C{i}") for i in range(300)]
        tab = self.show(self.gathered(*[self.status({"tcp_flows": i}, many) for i in range(700)]))
        points = "Math.max(...[...document.querySelectorAll('.chart path')].map((p) => " \
                 "p.getAttribute('d').split('L').length))"
        self.assertEqual(tab.eval(points), 600)
        self.assertEqual(tab.eval("document.querySelectorAll('.lane').length"), 200)

    def test_whatever_the_data_is_the_page_says_something(self):
        trap = {"toString": 1, "valueOf": 1}
        for data in ("{", "[]", "null", "7", '{"history":7}', self.gathered({}), self.gathered(7),
                     self.gathered({"components": [None, 3, "x", {}], "instances": [{"agent": 5}],
                                    "conditions": [None, {}], "phase": 4, "endpoints": {},
                                    "forwards": [None, 3, {}]}),
                     self.gathered({"phase": trap, "components": [{"name": trap}]})):
            with self.subTest(data=data):
                tab = self.show(data)
                self.assertTrue(tab.text("#verdict").strip())


class Colours(unittest.TestCase):
    """Everything that is read stands out from what it stands on, by WCAG's 4.5 to 1."""

    def test_light_and_dark(self):
        css = (rdl.ROOT / "winsvc/page/page.css").read_text(encoding="ascii")
        schemes = [dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", block))
                   for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)]
        self.assertEqual([len(scheme) for scheme in schemes], [11, 11])
        for scheme in schemes:
            read = [(name, on) for name in ("text", "quiet", "good", "bad", "unsure", "one", "two")
                    for on in ("ground", "card")]
            for name, on in read + [("on", "good"), ("on", "bad"), ("on", "unsure")]:
                with self.subTest(name=name, on=on, text=scheme["text"]):
                    self.assertGreaterEqual(contrast(scheme[name], scheme[on]), 4.5)


def luminance(colour):
    parts = [int(colour[i:i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a, b):
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def waiting_readers():
    """Descriptors of status connections beside the listener: who waits has one for long."""
    sockets = subprocess.run(["ss", "-xHp"], capture_output=True, text=True, check=True).stdout
    return sum(host.status_socket in line for line in sockets.splitlines())


if __name__ == "__main__":
    rdl.main()
