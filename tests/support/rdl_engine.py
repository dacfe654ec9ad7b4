# SPDX-License-Identifier: Apache-2.0
"""A docker engine that can only say that it is there: for tests of what is around it."""

import http.server
import socketserver
import threading


class PingEngine:
    """A unix socket that answers GET /_ping."""

    class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
        daemon_threads = True

    class _Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"OK")

        def address_string(self):
            return "unix"

        def log_message(self, *_):
            pass

    def __init__(self, path):
        self.path = path
        self._server = self._Server(path, self._Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
