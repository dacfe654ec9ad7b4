# SPDX-License-Identifier: Apache-2.0
"""The programs as they ship, under valgrind, through one docker session: no bad access, no use of
what was never written, nothing definitely lost. (ASan, which the other tests run with, does not see
uninitialised bytes.)"""

import pathlib
import re
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "support"))
import rdl
import rdl_guest
import rdl_http
import rdl_link
from rdl_link import IMAGE

session = None


def setUpModule():
    global session
    rdl.tool("valgrind", "valgrind")
    session = rdl.Session()
    unittest.addModuleCleanup(session.close)


class Memcheck(unittest.TestCase):
    def test_a_docker_session_is_clean_in_every_process(self):
        programs = rdl.plain_binaries()
        if not programs:
            raise rdl.Skip("valgrind needs programs without sanitizers (./dev build)")
        valgrind = [rdl.tool("valgrind", "valgrind"), "--leak-check=full", "--trace-children=yes",
                    "--errors-for-leak-kinds=definite", "--error-exitcode=99",
                    f"--log-file={session.path('memcheck.%p')}"]
        engine = rdl_guest.Engine(guest := rdl_guest.Guest(session))
        agent = rdl_link.Agent(session, engine.socket, net_of=guest.pid, wrapper=valgrind,
                               programs=programs)
        host = rdl_link.Host(session, wrapper=valgrind, programs=programs)
        host.wait_serving(60)
        self.use(host, agent)
        self.assertEqual(agent.process.stop(timeout=30), 0)
        answer = rdl_http.request(host.endpoint, "GET", "/_ping")
        self.assertEqual(answer.status, 503)
        self.assertEqual(host.process.stop(timeout=30), 0)
        self.check_logs()

    def use(self, host, agent):
        docker = rdl_link.Docker(session, host.endpoint)
        docker.import_image()
        data = bytes(range(256)) * 4000
        self.assertEqual(docker.run("run", "--rm", "-i", IMAGE, "cat", input=data).stdout, data)
        done = docker.run("run", "--rm", IMAGE, "sh", "-c", "exit 9", check=False)
        self.assertEqual(done.returncode, 9)
        for _ in range(50):
            self.assertTrue(host.serves())
        with rdl_http.connect(agent.vsock) as rude:  # ends within the greeting
            rude.sendall(b"CONN")

    def check_logs(self):
        logs = {path.name: path.read_text() for path in session.dir.glob("memcheck.*")}
        commands = {name: re.search(r"Command: (.*)", text) for name, text in logs.items()}
        shown = [m.group(1) for m in commands.values() if m]
        self.assertTrue(any("--worker" in command for command in shown), shown)
        self.assertTrue(any("rdlink-agent" in command for command in shown), shown)
        for name, text in logs.items():
            summary = re.search(r"ERROR SUMMARY: (\d+) errors", text)
            self.assertTrue(summary, f"{name} has no summary: it was killed\n{text[-2000:]}")
            self.assertEqual(summary.group(1), "0", text[-6000:])
        print(f"  {len(logs)} processes clean under memcheck")


if __name__ == "__main__":
    rdl.main()
