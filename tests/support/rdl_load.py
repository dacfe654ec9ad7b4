# SPDX-License-Identifier: Apache-2.0
"""Steady requests against an endpoint while something behind it breaks, and what became of each.

Every request is one connection and one `GET /_ping`. It ends as
  served   200, complete
  refused  503 with docker's error shape: {"message": "..."}
  cut      anything else: reset, end of stream without an answer, half an answer
  late     no answer within the client's patience
A break may cut what was under way at that moment and nothing else; Load.check() says so.
"""

import collections
import dataclasses
import threading
import time

import rdl_http


@dataclasses.dataclass
class Outcome:
    kind: str
    began: float
    ended: float
    detail: str

    @property
    def seconds(self):
        return self.ended - self.began


class Load:
    """Clients of `path`, from `with` to its end."""

    CLIENTS = 8
    PAUSE = 0.01  # between two requests of one client: a steady load, not a flood

    def __init__(self, path, patience=15):
        self.path = path
        self.patience = patience
        self.outcomes = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._client) for _ in range(self.CLIENTS)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """Ends the clients once their last request is answered; again is fine."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def seen_since(self, kind, moment):
        """A request that began after `moment` has ended so."""
        with self._lock:
            return any(o.kind == kind and o.began > moment for o in self.outcomes)

    def summary(self):
        counts = collections.Counter(o.kind for o in self.outcomes)
        refused = max((o.seconds for o in self.outcomes if o.kind == "refused"), default=0)
        return ", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())) + (
            f"; slowest refusal {refused:.3f} s" if refused else "")

    def check(self, test, broken, gone, refusal_bound=2.0):
        """Nothing was cut or late but what was under way between `broken` (the signal was sent)
        and `gone` (what it hit is dead); refusals came in time."""
        excused = [o for o in self.outcomes if o.began <= gone and o.ended >= broken]
        bad = [o for o in self.outcomes
               if o.kind in ("cut", "late") and o not in excused]
        test.assertEqual(bad, [], self.summary())
        slow = [o for o in self.outcomes if o.kind == "refused" and o.seconds > refusal_bound]
        test.assertEqual(slow, [], self.summary())
        test.assertTrue(any(o.kind == "served" and o.ended < broken for o in self.outcomes),
                        "the load had not started when it broke")

    def _client(self):
        while not self._stop.wait(self.PAUSE):
            outcome = self._request()
            with self._lock:
                self.outcomes.append(outcome)

    def _request(self):
        began = time.monotonic()
        try:
            answer = rdl_http.request(self.path, "GET", "/_ping", timeout=self.patience)
            kind, detail = _kind_of(answer), answer.body.decode(errors="replace")
        except TimeoutError as error:
            kind, detail = "late", str(error)
        except OSError as error:
            kind, detail = "cut", repr(error)
        return Outcome(kind, began, time.monotonic(), detail)


def _kind_of(answer):
    if answer.status == 200 and answer.body == b"OK":
        return "served"
    if answer.status == 503 and is_docker_error(answer):
        return "refused"
    return "cut"


def is_docker_error(answer):
    """The shape that docker's clients show to people: {"message": "text"}."""
    if answer.headers.get("content-type") != "application/json":
        return False
    if answer.headers.get("content-length") != str(len(answer.body)):
        return False
    try:
        body = answer.json()
    except ValueError:
        return False
    return isinstance(body, dict) and isinstance(body.get("message"), str) and body["message"] != ""
