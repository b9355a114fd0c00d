"""The web application as a server's process runs it."""

from __future__ import annotations

import gc
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")

from iotplatform.launcher.orphans import die_with_parent

# Granian's worker processes must not outlive its main process: they would hold the port with old code.
die_with_parent()

import django

django.setup()

from iotplatform.web import application
from telemetry.intake import heartbeat

__all__ = ["application"]

# What is loaded by now lives as long as the process. A request of 1,000 readings makes thousands of short-lived objects,
# none of them in cycles: with the usual thresholds the collector would walk everything several times in each.
gc.freeze()
gc.set_threshold(50_000, 20, 20)

# From now on devices can be heard; while nobody says so, their silence does not count.
heartbeat.start()
