"""Threads and sockets of the lab: one small HTTP server per host, each bounded, on loopback only.

The standard library's server is enough here: it is a peer for tests and drills, and nobody's product. A
connection carries one request. What is read is bounded by `http.server` (request line and headers 64 KiB,
100 headers) and by READ_SECONDS; no more than CONNECTIONS are served at once, others are closed at once.
"""

from __future__ import annotations

import contextlib
import email.utils
import ipaddress
import secrets
import socket
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from socketserver import ThreadingMixIn
from typing import Any

from gateway.lab import names
from gateway.lab.transport import STEPS, Sending
from gateway.ports import Clock

READ_SECONDS = 10
CONNECTIONS = 64
MAX_BODY = 64 * 1024
ANSWER = Callable[["Handler", bytes], Sending]


class Server(ThreadingMixIn, HTTPServer):
    """One host. It has its port from the start, and listens while it is up.

    answer: called in a thread of its own for each request, with the body that came along; OSError from the
    peer's going away is not an error. Raises ValueError for an address that is not loopback.
    """

    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(
        self, address: tuple[str, int], name: str, answer: ANSWER, clock: Clock, tls: ssl.SSLContext | None
    ) -> None:
        if not ipaddress.ip_address(address[0]).is_loopback:
            raise ValueError(f"the lab listens on loopback only, not on {address[0]}")
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, Handler, bind_and_activate=False)
        self.name, self.answer, self.clock, self._tls = name, answer, clock, tls
        self.stopping = threading.Event()
        self._slots = threading.BoundedSemaphore(CONNECTIONS)
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.server_bind()

    def server_bind(self) -> None:
        # HTTPServer's looks up the host's name, which may ask DNS.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()[:2]
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    @property
    def url(self) -> str:
        host = f"[{self.server_name}]" if ":" in self.server_name else self.server_name
        return f"{'https' if self._tls else 'http'}://{host}:{self.server_port}"

    @property
    def is_up(self) -> bool:
        return self._thread is not None

    def up(self) -> None:
        """Listen. Nothing when it does already."""
        if self._thread is None:
            self.stopping.clear()
            self.server_activate()
            self._thread = threading.Thread(
                target=self.serve_forever, args=(0.02,), name=f"lab {self.name}", daemon=True
            )
            self._thread.start()

    def down(self) -> None:
        """Refuse connections, keep the port. Answers that are under way break off."""
        if self._thread is None:
            return
        self._close()
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()

    def stop(self) -> None:
        """Listen no more and give the port back."""
        if self._thread is not None:
            self._close()
        else:
            self.server_close()

    def _close(self) -> None:
        self.stopping.set()
        self.shutdown()
        self.server_close()
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(READ_SECONDS)

    def process_request(self, request: Any, client_address: Any) -> None:
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self._lock:
                self._open.discard(request)
            self._slots.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        request.settimeout(READ_SECONDS)
        if self._tls is None:
            super().finish_request(request, client_address)
            return
        with self._tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that goes away, stalls or speaks no TLS is what the lab is for."""


class Handler(BaseHTTPRequestHandler):
    """One request. The journal and the faults are the lab's; this only reads and sends."""

    server: Server
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "sealgate-lab (simulated)", ""
    timeout = READ_SECONDS

    def _answer(self) -> None:
        self.close_connection = True
        length = self.headers.get("Content-Length", "0")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_BODY:
            self._send_head(413, (), 0)
            return
        sending = self.server.answer(self, self.rfile.read(int(length)))
        if sending.hang_up or self.server.stopping.wait(sending.before):
            return
        self._send_head(sending.status, sending.headers, sending.length)
        pause = sending.within / STEPS
        for piece in sending.pieces():
            if self.server.stopping.wait(pause):
                return
            self.wfile.write(piece)

    do_GET = do_POST = do_DELETE = _answer

    def _send_head(self, status: int, headers: tuple[tuple[str, str], ...], length: int | None) -> None:
        self.send_response(status)
        if self.server.name in (names.PCS, names.PCCS):
            self.send_header("Request-ID", secrets.token_hex(16))
        for name, value in headers:
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.send_header("Connection", "close")
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        return email.utils.format_datetime(self.server.clock.now(), usegmt=True)

    def log_message(self, format: str, *args: Any) -> None:
        """The journal is the log."""
