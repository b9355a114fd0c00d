"""The naive project as granian serves it."""

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
