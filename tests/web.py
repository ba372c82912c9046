"""A web server of a folder for tests, with addresses that it serves badly."""

import base64
import contextlib
import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

SECRET = "me:hush"
_BASIC = f"Basic {base64.b64encode(SECRET.encode()).decode()}"


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; a path with `cut` is cut short, and one with `private` needs a password.

    A query has to be that which the address was given with.
    """

    def log_message(self, *_):
        """Says nothing."""

    def do_HEAD(self):
        self._answer(super().do_HEAD, body=b"")

    def do_GET(self):
        self.server.gets.append(self.path.partition("?")[0])
        self._answer(super().do_GET, body=b"text\tlabel\n")

    def _answer(self, answer, body):
        if "private" in self.path and self.headers.get("Authorization") != _BASIC:
            self.send_error(401)
        elif "?" in self.path and not self.path.endswith("?signature=hush"):
            self.send_error(403)
        elif "cut" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(body)
        else:
            answer()


@contextlib.contextmanager
def served(folder: Path) -> Iterator[http.server.ThreadingHTTPServer]:
    """Serves a folder on this machine; `gets` of the server are the paths that were fetched."""
    handler = functools.partial(_Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.gets = []
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def address_of(server: http.server.ThreadingHTTPServer, path: str, *, secret: str = "") -> str:
    return f"http://{secret}{'@' if secret else ''}127.0.0.1:{server.server_address[1]}/{path}"
