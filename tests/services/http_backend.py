"""A real HTTP server in a thread: somebody else's service behind an API."""

from __future__ import annotations

import contextlib
import http.server
import json
import queue
import threading


class Backend:
    """Echoes requests as JSON. `answers[path]` = (status, headers, body) answers otherwise; `hang` holds the answers back."""

    def __init__(self):
        self.answers = {}
        self.got = queue.Queue()
        self.hang = threading.Event()
        self.hang.set()
        backend = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                said = {"method": self.command, "path": self.path, "headers": list(self.headers.items()),
                        "body": body.decode("utf-8", "replace")}  # fmt: skip
                backend.got.put(said)
                backend.hang.wait(120)
                usual = (200, [("Content-Type", "application/json")], json.dumps(said).encode())
                status, headers, answer = backend.answers.get(self.path.partition("?")[0], usual)
                with contextlib.suppress(OSError):  # who asked may have left in the meantime
                    self.send_response(status)
                    for name, value in headers:
                        self.send_header(name, value)
                    self.send_header("Content-Length", str(len(answer)))
                    self.end_headers()
                    if self.command != "HEAD":
                        self.wfile.write(answer)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = do_OPTIONS = handle_one

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.hang.set()
        self.server.shutdown()
        self.server.server_close()
