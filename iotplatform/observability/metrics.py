"""/metrics: what the whole platform has counted, whichever of its processes is asked.

The metrics of telemetry are declared in `telemetry.measures`, those of the log server in
`iotplatform.observability.log_metrics`, and those of the platform itself here.
"""

from __future__ import annotations

import hmac
from functools import cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_GET
from prometheus_client import REGISTRY, CollectorRegistry, Histogram
from prometheus_client.exposition import choose_encoder

import telemetry.measures
from iotplatform.observability.log_metrics import ServerMetrics
from iotplatform.observability.metric_files import SharedMetrics

__all__ = ["measures", "metrics", "process_metrics", "request_seconds"]

measures = telemetry.measures

request_seconds = Histogram(
    "iot_http_request_seconds",
    "Time to answer a request (to the first byte of a stream), by route.",
    ["method", "route", "status"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
)

_Network = IPv4Network | IPv6Network


@require_GET
def metrics(request: HttpRequest) -> HttpResponse:
    """In the format the scraper asks for; only for METRICS_NETWORKS or with METRICS_TOKEN."""
    return _answer(request, _registry())


@require_GET
def process_metrics(request: HttpRequest) -> HttpResponse:
    """What the processes that share this one's folder have counted, and nothing that the servers would have to be asked."""
    return _answer(request, _counted())


def _answer(request: HttpRequest, registry: CollectorRegistry) -> HttpResponse:
    if not _may_read(request):
        return HttpResponse(
            "Metrics are shown to METRICS_NETWORKS, or with METRICS_TOKEN as bearer token.\n",
            status=403,
            content_type="text/plain; charset=utf-8",
        )
    encode, content_type = choose_encoder(request.headers.get("Accept", ""))
    answer = HttpResponse(encode(registry), content_type=content_type)
    answer["Cache-Control"] = "no-store"
    return answer


@cache
def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    _register_counts(registry)
    registry.register(ServerMetrics())
    return registry


@cache
def _counted() -> CollectorRegistry:
    registry = CollectorRegistry()
    _register_counts(registry)
    return registry


def _register_counts(registry: CollectorRegistry) -> None:
    folder = settings.PLATFORM.multiprocess_metrics_dir
    registry.register(SharedMetrics(folder) if folder else REGISTRY)


def _may_read(request: HttpRequest) -> bool:
    config = settings.PLATFORM
    given = request.headers.get("Authorization", "")
    if config.metrics_token and hmac.compare_digest(given.encode(), f"Bearer {config.metrics_token}".encode()):
        return True
    return _among(client_address(request, config.trusted_proxies), _networks(config.metrics_networks))


def client_address(request: HttpRequest, trusted_proxies: str) -> str:
    """Who asked: the peer, or where that is one of TRUSTED_PROXIES, the last one it names that is not."""
    proxies = _networks(trusted_proxies)
    address: str = request.META.get("REMOTE_ADDR", "")
    forwarded = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while _among(address, proxies) and forwarded:
        address = forwarded.pop().strip() or address
    return address


@cache
def _networks(text: str) -> tuple[_Network, ...]:
    return tuple(ip_network(part.strip(), strict=False) for part in text.split(",") if part.strip())


def _among(address: str, networks: tuple[_Network, ...]) -> bool:
    try:
        client = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(client, "ipv4_mapped", None)
    return any((mapped or client) in network for network in networks)
