"""The web application as granian serves it."""

from __future__ import annotations

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")

from iotplatform.launcher.orphans import die_with_parent

# Granian's worker processes must not outlive its main process: they would hold the port with old code.
die_with_parent()

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
