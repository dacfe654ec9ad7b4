# SPDX-License-Identifier: Apache-2.0
"""A real browser for tests of pages: headless Chromium by its DevTools protocol.

THEORY
The protocol runs over two pipes (--remote-debugging-pipe: it reads descriptor 3, writes descriptor 4),
one JSON text after the other, each ended by a zero byte: no port, and the standard library suffices. A
thread takes what comes: answers by their id, events into the tab that they are about.

No name but 127.0.0.1 leads anywhere in it, except those that a test maps: what a page asks the network for
is in `requests`, and what it did wrong (console errors, exceptions, refused content, dialogs) in `errors`.
"""

import itertools
import json
import os
import threading

import rdl

_IN_TIME = 30
# Nothing that a browser does by itself.
_QUIET = ["--no-first-run", "--disable-background-networking", "--disable-component-update",
          "--disable-sync", "--disable-extensions", "--disable-default-apps", "--disable-breakpad",
          "--disable-crash-reporter", "--disable-gpu", "--disable-dev-shm-usage", "--mute-audio",
          "--no-default-browser-check", "--log-level=3", "--no-pings", "--password-store=basic"]


class Browser:
    def __init__(self, session, names=()):
        """`names` lead to 127.0.0.1, as a hostile name server has it."""
        program = rdl.tool("chromium", "chromium")
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        rules = [f"MAP {name} 127.0.0.1" for name in names]
        rules += ["MAP * ~NOTFOUND", "EXCLUDE 127.0.0.1"]
        argv = ["sh", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "sh", program,
                "--headless=new", "--no-sandbox", "--remote-debugging-pipe", *_QUIET,
                f"--host-resolver-rules={', '.join(rules)}",
                f"--user-data-dir={session.path('browser')}", "about:blank"]
        self.process = session.start(
            "chromium", argv, pass_fds=(theirs_in, theirs_out),
            env={"HOME": session.path("browser"), "DBUS_SESSION_BUS_ADDRESS": "disabled:"})
        os.close(theirs_in)
        os.close(theirs_out)
        self._ids = itertools.count(1)
        self._answers = {}
        self._tabs = {}
        self._news = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        session.at_end(self.close)

    def open(self, url, size=(1000, 900), dark=False):
        """A new tab at that address, once it is loaded."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        number = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        tab = Tab(self, target, number)
        self._tabs[tab.id] = tab
        for domain in ("Runtime", "Log", "Network", "Page"):
            tab.call(f"{domain}.enable")
        tab.call("Emulation.setDeviceMetricsOverride", width=size[0], height=size[1],
                 deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        tab.call("Emulation.setEmulatedMedia", features=[scheme])
        tab.load("Page.navigate", url=url)
        return tab

    def call(self, method, session=None, **params):
        number = next(self._ids)
        message = {"id": number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        with self._news:
            if not self._news.wait_for(lambda: number in self._answers, _IN_TIME):
                raise rdl.Timeout(f"the browser does not answer {method}")
            answer = self._answers.pop(number)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def close(self):
        """Asks it to end, so that it takes its helpers along."""
        if self.process.alive():
            os.write(self._to, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
            rdl.wait_until(lambda: not self.process.alive(), _IN_TIME, "the browser ends")
        self._reader.join()
        os.close(self._to)
        os.close(self._from)

    def _read(self):
        rest = b""
        while piece := os.read(self._from, 1 << 16):
            *messages, rest = (rest + piece).split(b"\0")
            for message in map(json.loads, messages):
                with self._news:
                    self._take(message)
                    self._news.notify_all()

    def _take(self, message):
        if "id" in message:
            self._answers[message["id"]] = message
        elif message.get("sessionId") in self._tabs:
            self._tabs[message["sessionId"]].take(message["method"], message["params"])


class Tab:
    def __init__(self, browser, target, number):
        self._browser = browser
        self._target = target
        self.id = number
        self.seen = set()    # methods of events
        self.requests = []   # addresses
        self.errors = []
        self.refused = []    # what the page's policy kept from happening, as the browser words it

    def call(self, method, **params):
        return self._browser.call(method, self.id, **params)

    def load(self, method="Page.reload", **params):
        self.seen.discard("Page.loadEventFired")
        self.call(method, **params)
        rdl.wait_until(lambda: "Page.loadEventFired" in self.seen, _IN_TIME, "the page is loaded")

    def close(self):
        """A browser has six connections for a server, and a page that listens keeps one."""
        self._browser.call("Target.closeTarget", targetId=self._target)

    def take(self, method, params):
        self.seen.add(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(params["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "assert"):
            self.errors.append(json.dumps(params["args"]))
        elif method == "Page.javascriptDialogOpening":
            self.errors.append(f"dialog: {params['message']}")
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            text = params["entry"]["text"]
            is_policy = "Content Security Policy" in text or "Trusted" in text
            (self.refused if is_policy else self.errors).append(text)

    def eval(self, expression):
        """The value of a JavaScript expression, as far as it is JSON; a promise's once it is kept."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def text(self, selector="main"):
        return self.eval(f"document.querySelector({json.dumps(selector)}).innerText")

    def wait(self, expression, what, timeout=_IN_TIME):
        return rdl.wait_until(lambda: self.eval(expression), timeout, f"{what}; shown: {self.text()}",
                              every=0.1)
