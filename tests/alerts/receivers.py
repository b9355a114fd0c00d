"""Receivers of messages as they are out there: a web server that can misbehave, and a mail server."""

from __future__ import annotations

import hashlib
import hmac
import http.server
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller

SECRET = "a-secret-that-both-sides-know"


@dataclass(frozen=True)
class Received:
    """One POST that arrived."""

    path: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]

    def signed_by(self, secret: str) -> bool:
        """As docs/alerting-webhook.md tells receivers to look."""
        signed = self.headers["x-timestamp"].encode() + b"." + self.raw
        expected = "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        return hmac.compare_digest(expected, self.headers["x-signature"])


#: Status and headers of an answer.
Reply = tuple[int, dict[str, str]]


@dataclass
class WebServer:
    """Answers 200, or what ``replies`` say, one a request; ``hold`` keeps requests open until it is set."""

    received: list[Received] = field(default_factory=list)
    replies: list[Reply] = field(default_factory=list)
    hold: threading.Event | None = None
    before_answer: Callable[[Received], None] | None = None
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?token=hidden-token"

    def answer(self, request: Received) -> Reply:
        self.received.append(request)
        if self.before_answer is not None:
            self.before_answer(request)
        if self.hold is not None:
            self.hold.wait(30)
        return self.replies.pop(0) if self.replies else (200, {})


@contextmanager
def web_server(server: WebServer | None = None) -> Iterator[Any]:
    """Any WebServer, or this one, made by the caller."""
    server = server or WebServer()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            status, extra = server.answer(Received(self.path, headers, raw))
            try:
                self.send_response(status)
                for name, value in extra.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except OSError:
                return  # the sender had no patience any more

        def log_message(self, *_: object) -> None:
            return

    http_server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http_server.daemon_threads = True
    server.port = http_server.server_address[1]
    thread = threading.Thread(target=http_server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        if server.hold is not None:
            server.hold.set()
        http_server.shutdown()
        http_server.server_close()
        thread.join()


@dataclass
class MailServer:
    """Takes every mail, or answers MAIL FROM or a recipient as ``answers`` say."""

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)
    #: Answers to DATA, one a mail; then 250.
    answers: list[str] = field(default_factory=list)
    #: Addresses that it does not know.
    unknown: set[str] = field(default_factory=set)
    port: int = 0

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.unknown:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.answers:
            return self.answers.pop(0)
        mail: Any = message_from_bytes(envelope.content, policy=policy.default)
        self.mails.append(mail)
        self.recipients.append(envelope.rcpt_tos)
        return "250 taken"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    server = MailServer()
    controller = _AnyPort(server, hostname="127.0.0.1", port=0)
    controller.start()
    server.port = controller.port
    try:
        yield server
    finally:
        controller.stop()


class _AnyPort(Controller):
    """On a free port: its own way of asking whether it is up wants to know the port beforehand."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()
