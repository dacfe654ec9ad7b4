# SPDX-License-Identifier: Apache-2.0
"""What people do with docker, through the whole chain: every way in which the CLI uses a stream."""

import hashlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_link
from rdl_link import IMAGE

stack = None


def setUpModule():
    global stack
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)
    stack = rdl_link.Stack(session)


def some_bytes(count):
    return random.Random(count).randbytes(count)


class Container:
    """A container that runs in the background and is gone after the `with`."""

    def __init__(self, *args):
        self.id = stack.docker.text("run", "-d", *args).strip()

    def __enter__(self):
        return self.id

    def __exit__(self, *_):
        stack.docker.run("rm", "-f", self.id)


class Run(unittest.TestCase):
    def test_output_of_a_container_arrives(self):
        self.assertEqual(stack.docker.text("run", "--rm", IMAGE, "echo", "hello"), "hello\n")

    def test_standard_input_ends_and_every_byte_comes_back(self):
        for count in (0, 1, 65536, 3_000_000):
            with self.subTest(bytes=count):
                data = some_bytes(count)
                out = stack.docker.run("run", "--rm", "-i", IMAGE, "cat", input=data).stdout
                self.assertEqual((len(out), hashlib.sha256(out).hexdigest()),
                                 (len(data), hashlib.sha256(data).hexdigest()))

    def test_short_inputs_are_never_lost(self):
        for turn in range(10):
            out = stack.docker.run("run", "--rm", "-i", IMAGE, "cat", input=b"%d" % turn).stdout
            self.assertEqual(out, b"%d" % turn)

    def test_exit_code_and_standard_error_are_kept(self):
        done = stack.docker.run("run", "--rm", IMAGE, "sh", "-c", "echo out; echo err >&2; exit 42",
                                check=False)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (42, b"out\n", b"err\n"))


class Attached(unittest.TestCase):
    def test_exec_with_input_ends_at_eof_with_its_exit_code(self):
        data = some_bytes(1_000_000)
        with Container(IMAGE, "sleep", "600") as name:
            done = stack.docker.run("exec", "-i", name, "sh", "-c", "sha256sum; exit 7", input=data,
                                    check=False)
        self.assertEqual(done.returncode, 7)
        self.assertEqual(done.stdout.split()[0].decode(), hashlib.sha256(data).hexdigest())

    def test_attach_carries_both_directions_until_the_container_ends(self):
        name = stack.docker.text("create", "-i", IMAGE, "sh", "-c",
                                 "while read line; do echo got $line; done; exit 3").strip()
        self.addCleanup(stack.docker.run, "rm", "-f", name)
        client = stack.docker.start("start", "--attach", "--interactive", name,
                                    stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        with client.popen.stdout as out:
            for word in (b"one", b"two"):
                client.popen.stdin.write(word + b"\n")
                client.popen.stdin.flush()
                self.assertEqual(out.readline(), b"got " + word + b"\n")
            client.popen.stdin.close()
            self.assertEqual(out.read(), b"")
        self.assertEqual(client.popen.wait(20), 3)

    def test_attach_to_a_running_container_sees_its_output(self):
        with Container("-i", IMAGE, "sh", "-c", "while read line; do echo got $line; done") as name:
            client = stack.docker.start("attach", name, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE)
            client.popen.stdin.write(b"ping\n")
            client.popen.stdin.flush()
            self.assertEqual(client.popen.stdout.readline(), b"got ping\n")
            stack.docker.run("kill", name)
            client.popen.wait(20)
            client.popen.stdin.close()
            client.popen.stdout.close()


class Followed(unittest.TestCase):
    def test_logs_follow_until_the_container_ends(self):
        script = "echo first; while [ ! -e /tmp/go ]; do sleep 0.05; done; echo last"
        with Container(IMAGE, "sh", "-c", script) as name:
            client = stack.docker.start("logs", "-f", name, stdout=subprocess.PIPE)
            with client.popen.stdout as out:
                self.assertEqual(out.readline(), b"first\n")
                stack.docker.run("exec", name, "touch", "/tmp/go")
                self.assertEqual(out.read(), b"last\n")
            self.assertEqual(client.popen.wait(20), 0)

    def test_events_arrive_as_they_happen_and_the_client_can_leave(self):
        client = stack.docker.start("events", "--format", "{{json .}}",
                                    "--filter", "type=container",
                                    "--since", str(int(time.time())), stdout=subprocess.PIPE)
        stack.docker.run("run", "--rm", "--name", "eventful", IMAGE, "true")
        seen = []
        with client.popen.stdout as out:
            while "destroy" not in seen:
                event = json.loads(out.readline())
                if event["Actor"]["Attributes"].get("name") == "eventful":
                    seen.append(event["Action"])
            for action in ("create", "attach", "start", "die", "destroy"):
                self.assertIn(action, seen)
        self.assertTrue(client.alive(), "events ended by itself")
        client.stop(signal.SIGINT)


class Files(unittest.TestCase):
    def test_cp_into_and_out_of_a_container_keeps_the_bytes(self):
        data = some_bytes(5_000_000)
        source, back = stack.session.path("cp-source"), stack.session.path("cp-back")
        pathlib.Path(source).write_bytes(data)
        with Container(IMAGE, "sleep", "600") as name:
            stack.docker.run("cp", source, f"{name}:/tmp/data")
            inside = stack.docker.text("exec", name, "sha256sum", "/tmp/data").split()[0]
            stack.docker.run("cp", f"{name}:/tmp/data", back)
        self.assertEqual(inside, hashlib.sha256(data).hexdigest())
        self.assertEqual(pathlib.Path(back).read_bytes(), data)

    def test_classic_build_sends_its_context(self):
        context = pathlib.Path(stack.session.path("context"))
        context.mkdir()
        data = some_bytes(2_000_000)
        (context / "payload").write_bytes(data)
        (context / "Dockerfile").write_text(
            f"FROM {IMAGE}\nCOPY payload /payload\nRUN sha256sum /payload > /sum\nCMD cat /sum\n")
        stack.docker.run("build", "-t", "rdl/built:1", str(context), timeout=120)
        self.addCleanup(stack.docker.run, "rmi", "rdl/built:1")
        out = stack.docker.text("run", "--rm", "rdl/built:1")
        self.assertEqual(out.split()[0], hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    rdl.main()
