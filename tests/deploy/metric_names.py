"""The metrics that the code declares, as Prometheus sees them, and those that an expression asks for."""

from __future__ import annotations

import re

import prometheus_client

import alerts.measures
import telemetry.measures
from iotplatform.env import BASE_DIR
from iotplatform.observability import metrics, process_watch, server_metrics, task_metrics

__all__ = ["asked_for", "declared"]


def declared() -> set[str]:
    """Names of all samples that /metrics may show: ``_total`` of counters, ``_bucket`` and so on of histograms."""
    names: set[str] = set()
    for module in (telemetry.measures, alerts.measures, metrics, process_watch, task_metrics):
        for metric in vars(module).values():
            if isinstance(metric, prometheus_client.metrics.MetricWrapperBase):
                names |= _samples(metric)
    # Those that are asked of the servers at a scrape are families, made anew each time.
    for file in ("log_metrics.py", "server_metrics.py", "backup_metrics.py"):
        source = (BASE_DIR / "iotplatform" / "observability" / file).read_text()
        names |= set(re.findall(r'"(iot_[a-z_]+)"', source))
    counters = {name for name, _ in server_metrics.COUNTERS}
    return names - counters | {f"{name}_total" for name in counters}


def asked_for(expression: str) -> set[str]:
    """The platform's metrics in an expression."""
    return set(re.findall(r"\biot_[a-z_]+", expression))


def _samples(metric: prometheus_client.metrics.MetricWrapperBase) -> set[str]:
    (family,) = metric.describe()
    suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count")}.get(family.type, ("",))
    return {family.name + suffix for suffix in suffixes}
