# SPDX-License-Identifier: Apache-2.0
"""A client whose guest cannot be reached hears why within a second, in docker's own way, and never
hangs: no guest, no agent, a frozen agent, no docker.sock, an engine that is silent. No engine, no
privileges."""

import contextlib
import os
import pathlib
import signal
import socket
import sys
import threading
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_http
import rdl_link
import rdl_load
import rdl_script

BOUND_S = 1.0
BACK_S = 0.5

session = host = docker = None
cli_itself_s = 0  # what `docker ps` takes when each of its requests is refused at once


def setUpModule():
    global session, host, docker, cli_itself_s
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)
    host = rdl_link.Host(session)
    docker = rdl_link.Docker(session, host.endpoint)
    timed_cli()  # reads the program from disk
    _, cli_itself_s = timed_cli()


def timed_cli():
    began = time.monotonic()
    done = docker.run("ps", check=False)
    return done, time.monotonic() - began


class Engine:
    """A script for rdl_script.Server: an engine that answers one request of each connection, but
    not while it is silent."""

    def __init__(self):
        self._speaks = threading.Event()
        self._speaks.set()

    def fall_silent(self):
        self._speaks.clear()

    def go_on(self):
        self._speaks.set()

    def __call__(self, connection):
        self._speaks.wait()
        rdl_script.answer_ping(connection)


class Refusal(unittest.TestCase):
    """Each test makes one thing unreachable and then asks in every way."""

    def check(self, what):
        self.check_cli(what)
        self.check_raw(what)
        self.check_head()
        self.check_with_body()
        self.check_not_http()

    def refused(self, method, target, **options):
        with rdl.Stalls() as stalls:
            answer = rdl_http.request(host.endpoint, method, target, **options)
        self.assertEqual(answer.status, 503)
        self.assertLess(answer.seconds, BOUND_S + stalls.worst_s)
        return answer

    def check_raw(self, what):
        answer = self.refused("GET", "/containers/json")
        self.assertTrue(rdl_load.is_docker_error(answer), answer)
        rdl.measured(f"{what}, GET refused", answer.seconds)
        print(f"  {answer.json()['message']}")

    def check_head(self):
        answer = self.refused("HEAD", "/_ping")
        self.assertEqual(answer.body, b"")
        self.assertEqual(answer.headers.get("content-type"), "application/json")

    def check_with_body(self):
        """A body that nobody reads must not turn the answer into a reset."""
        answer = self.refused("POST", "/images/load", body=bytes(1_000_000))
        self.assertTrue(rdl_load.is_docker_error(answer), answer)

    def check_not_http(self):
        with rdl.Stalls() as stalls, rdl_http.connect(host.endpoint) as client:
            began = time.monotonic()
            client.sendall(b"\x16\x03\x01 this is no request\r\n\r\n")
            client.shutdown(socket.SHUT_WR)
            self.assertEqual(rdl_http.read_all(client), b"")
            seconds = time.monotonic() - began
        self.assertLess(seconds, BOUND_S + stalls.worst_s)

    def check_cli(self, what):
        """The CLI asks several times (HEAD and GET /_ping, then the request itself) and must still
        end within the bound."""
        with rdl.Stalls() as stalls:
            done, seconds = timed_cli()
        self.assertNotEqual(done.returncode, 0)
        self.assertIn(b"Error response from daemon: ", done.stderr)
        rdl.measured(f"{what}, docker ps refused", seconds)
        self.assertLess(seconds, BOUND_S + cli_itself_s + stalls.worst_s)

    def agent(self, target="docker.sock"):
        agent = rdl_link.Agent(session, session.path(target))
        self.addCleanup(agent.process.kill)
        return agent

    def answered_by_agent(self, text):
        """The refusals come from the agent now, which is where the reason is known."""
        def look():
            answer = rdl_http.request(host.endpoint, "GET", "/_ping")
            return answer.status == 503 and text in answer.json()["message"]
        rdl.wait_until(look, 20, f"the reason names {text}")

    def test_no_guest(self):
        with contextlib.suppress(FileNotFoundError):  # a killed agent's
            os.unlink(session.path("vm1.vsock"))
        self.check("no guest")

    def test_agent_gone(self):
        with rdl_script.Server(session.path("docker.sock"), rdl_script.answer_ping):
            agent = self.agent()
            host.wait_serving()
            agent.process.kill()
            self.check("agent killed")

    def test_agent_frozen(self):
        with rdl_script.Server(session.path("docker.sock"), rdl_script.answer_ping):
            agent = self.agent()
            host.wait_serving()
            agent.process.send(signal.SIGSTOP)
            self.check("agent frozen")
            agent.process.send(signal.SIGCONT)
            rdl.measured("agent thawed, until served again", host.wait_serving())

    def test_docker_sock_missing(self):
        self.agent()
        self.answered_by_agent("docker.sock")
        self.check("docker.sock missing")

    def test_docker_sock_with_nobody_behind_it(self):
        stale = session.path("docker.sock")
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(stale)
        self.addCleanup(os.unlink, stale)
        self.agent()
        self.answered_by_agent("docker.sock")
        self.check("docker.sock refused")

    def wait_silent(self):
        def reasons():
            return {c["reason"] for c in host.worker()["conditions"]}
        rdl.wait_until(lambda: "EngineSilent" in reasons(), 10, "the status says so")

    def test_engine_silent(self):
        engine = Engine()
        with rdl_script.Server(session.path("docker.sock"), engine):
            self.addCleanup(engine.go_on)
            self.agent()
            host.wait_serving()
            engine.fall_silent()
            before = self.enterContext(rdl_http.connect(host.endpoint, timeout=20))
            before.sendall(rdl_http.head("GET", "/_ping"))
            idle = self.enterContext(rdl_http.connect(host.endpoint, timeout=20))
            self.wait_silent()
            self.check("engine silent")
            done, _ = timed_cli()
            self.assertIn(b"the docker engine takes connections but does not answer; in the guest: "
                          b"systemctl status docker", done.stderr)
            engine.go_on()
            with rdl.Stalls() as stalls:
                seconds = host.wait_serving()
            rdl.measured("engine goes on, until served again", seconds)
            self.assertLess(seconds, BACK_S + stalls.worst_s)
            self.assertTrue(rdl_http.read_all(before).startswith(b"HTTP/1.1 200 "))
            idle.sendall(rdl_http.head("GET", "/_ping"))
            self.assertTrue(rdl_http.read_all(idle).startswith(b"HTTP/1.1 200 "))
        self.assertGreater(host.worker()["counters"]["refused_silent"], 5)

    def test_docker_sock_appears_later(self):
        self.agent()
        self.answered_by_agent("docker.sock")
        with rdl_script.Server(session.path("docker.sock"), rdl_script.answer_ping):
            rdl.measured("docker.sock appeared, until served", host.wait_serving())

    def test_more_clients_than_allowed_hear_so_and_the_others_stay(self):
        with rdl_script.Server(session.path("docker.sock"), rdl_script.answer_ping):
            self.agent()
            small = rdl_link.Host(session, name="small", options=(
                "--max-connections", "2", "--vm", f"vm1=vsock-hybrid:{session.path('vm1.vsock')}"))
            small.wait_serving()
            both = [self.enterContext(rdl_http.connect(small.endpoint)) for _ in range(2)]

            def full():
                return rdl_http.request(small.endpoint, "GET", "/_ping").status == 503
            rdl.wait_until(full, 10, "a third client is refused")
            for client in both:
                client.sendall(rdl_http.head("GET", "/_ping"))
                self.assertTrue(rdl_http.read_all(client).startswith(b"HTTP/1.1 200 "))
                client.close()
            rdl.wait_until(small.serves, 10, "there is room again")
            self.assertEqual(small.process.stop(), 0)


if __name__ == "__main__":
    rdl.main()
