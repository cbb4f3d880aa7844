"""A web server of this machine alone, with files that a test gives it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Web:
    """What is served, and what was asked for.

    Attributes:
        files: Content by path.
        cut: How many bytes of each file are kept back, though they are promised.
        silent: Whether an answer stops in its middle without an end.
        sized: Whether the size is said in advance.
        url: Address, without a path.
        asked: Paths that were asked for.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    cut: int = 0
    silent: bool = False
    sized: bool = True
    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def web() -> Iterator[Web]:
    """Serve files on 127.0.0.1."""
    given, ended = Web(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            given.asked.append(self.path)
            content = given.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            if given.sized:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(
                content[: len(content) // 2 if given.silent else None][: len(content) - given.cut]
            )
            if given.silent:
                self.wfile.flush()
                ended.wait(30)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    given.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield given
    finally:
        ended.set()
        server.shutdown()
        server.server_close()


def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing, however wrong, ask another machine."""
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def connected(self, address, *rest):
        assert isinstance(address, str) or address[0] == "127.0.0.1", address
        return connect(self, address, *rest)

    def resolved(host, *rest, **more):
        if host != "127.0.0.1":
            raise socket.gaierror(-2, "Name or service not known")
        return resolve(host, *rest, **more)

    monkeypatch.setattr(socket.socket, "connect", connected)
    monkeypatch.setattr(socket, "getaddrinfo", resolved)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
