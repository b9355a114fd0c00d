"""Settings of the naive project: the same servers, processes and durability as the platform has."""

from __future__ import annotations

from psycopg.conninfo import conninfo_to_dict

from iotplatform.env import config

_servers = config.server_urls()
_database = conninfo_to_dict(_servers["database_url"])

SECRET_KEY = config.secret_key()
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = [
    "django.contrib.contenttypes",
    "django.contrib.auth",
    "rest_framework",
    "rest_framework.authtoken",
    "benchmarks.baselines.naive",
]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware"]
ROOT_URLCONF = "benchmarks.baselines.naive.urls"
WSGI_APPLICATION = "benchmarks.baselines.naive.wsgi.application"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": _database["dbname"],
        "USER": _database.get("user", ""),
        "PASSWORD": _database.get("password", ""),
        "HOST": _database.get("host", ""),
        "PORT": _database.get("port", ""),
        "CONN_MAX_AGE": None,
    }
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
DATA_UPLOAD_MAX_MEMORY_SIZE = config.max_body_bytes
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["benchmarks.baselines.naive.authentication.BearerToken"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
}

# A database of its own on the platform's log server: the same append-only file.
CELERY_BROKER_URL = _servers["redis_url"].replace("unix://", "redis+socket://").replace("?db=0", "?virtual_host=1")
CELERY_TASK_IGNORE_RESULT = True
