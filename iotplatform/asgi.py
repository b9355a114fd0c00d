"""The web application as a server's process runs it."""

from __future__ import annotations

import gc
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")

from iotplatform.launcher.orphans import die_with_parent

# Granian's worker processes must not outlive its main process: they would hold the port with old code.
die_with_parent()

# Django REST framework loads these wherever they are installed (Apprise needs them), for parts of it that nobody uses
# here: 20 MB in each web process.
_UNUSED = [name for name in ("requests", "markdown") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_UNUSED))  # type: ignore[arg-type]

import django

django.setup()

from iotplatform.env import config
from iotplatform.observability.process_watch import watch
from iotplatform.web import application
from telemetry import tracing
from telemetry.intake import heartbeat

for _name in _UNUSED:
    del sys.modules[_name]

__all__ = ["application"]

# After the server's fork, for a thread of its own sends the spans.
tracing.switch_on(config.tracing_endpoint, config.tracing_headers, config.tracing_sample, config.process_name)

# What is loaded by now lives as long as the process. A request of 1,000 readings makes thousands of short-lived objects,
# none of them in cycles: with the usual thresholds the collector would walk everything several times in each.
gc.freeze()
gc.set_threshold(50_000, 20, 20)

# From now on devices can be heard; while nobody says so, their silence does not count.
heartbeat.start()
watch(config.process_name)
