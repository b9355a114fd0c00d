"""Metrics of workers and beat where no folder is shared with a web process, as between the pods of a cluster: with
METRICS_PORT each of them answers GET /metrics on HOST, under the same rights as the web server's /metrics."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from socketserver import ThreadingMixIn
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpResponseNotFound

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

__all__ = ["serve"]

_SECONDS = 5.0


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    #: One who connects and says nothing holds a thread no longer than that.
    timeout = _SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """A scrape every few seconds is not worth a line."""


def serve(host: str, port: int) -> WSGIServer | None:
    """Answer GET /metrics in a thread of its own; nothing where ``port`` is 0. Raises OSError where it is taken."""
    if not port:
        return None
    server = make_server(host, port, _application, server_class=_Server, handler_class=_Handler)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server


def _application(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
    # Declares metrics, which the settings' reader of this module must not do before it has named the process.
    from iotplatform.observability.metrics import process_metrics

    answer = process_metrics(WSGIRequest(environ)) if environ["PATH_INFO"] == "/metrics" else HttpResponseNotFound()
    start_response(f"{answer.status_code} {answer.reason_phrase}", list(answer.items()))
    return [answer.content]
