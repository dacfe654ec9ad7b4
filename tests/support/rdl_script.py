# SPDX-License-Identifier: Apache-2.0
"""A scripted stand-in for docker.sock: each connection runs a function of the test."""

import contextlib
import os
import socket
import threading

import rdl_http


class Server:
    """Listens at `path` from `with` to its end; `script(connection)` runs in a thread for each
    client, and an exception in it is raised again at the end."""

    def __init__(self, path, script):
        self.path = path
        self.script = script
        self.failures = []
        self._connections = []
        self._threads = []

    def __enter__(self):
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(self.path)
        self._listener.listen(128)
        self._acceptor = threading.Thread(target=self._accept)
        self._acceptor.start()
        return self

    def __exit__(self, kind, *_):
        self._listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not
        self._acceptor.join()
        self._listener.close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        os.unlink(self.path)
        if self.failures and kind is None:
            raise self.failures[0]

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.settimeout(20)
            self._connections.append(connection)
            thread = threading.Thread(target=self._run, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _run(self, connection):
        with connection:
            try:
                self.script(connection)
            except Exception as failure:  # handed to the test's thread
                self.failures.append(failure)


def answer_ping(connection):
    """A script: answers one HTTP request with 200 and OK. Whoever leaves without one is let go, as
    rdlinkd does when it gives a question to the engine up."""
    with contextlib.suppress(ConnectionError):
        rdl_http.read_head(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nOK")
