"""Django's settings. Values come from ``iotplatform.env``; this module only arranges them."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import psycopg.conninfo
from django.core.exceptions import ImproperlyConfigured

from iotplatform.admin_kit import UNFOLD as UNFOLD
from iotplatform.env import BASE_DIR, config
from iotplatform.mail import mail_settings
from iotplatform.observability import logs, metric_files
from iotplatform.setting_kinds import ConfigError
from telemetry.deadline import patient

# Before anything declares a metric or logs a line.
metric_files.claim(config.multiprocess_metrics_dir, config.process_name)
logs.configure(config.process_name, debug=config.debug)

#: Every tunable, for the apps below: they never import from here upwards.
PLATFORM = config
SECRET_KEY = config.secret_key()
SECRET_KEY_FALLBACKS = config.secret_key_fallbacks()
DEBUG = config.debug
ALLOWED_HOSTS = [host.strip() for host in config.allowed_hosts.split(",")]
CSRF_TRUSTED_ORIGINS: list[str] = []
if config.public_url:
    _public = urlsplit(config.public_url)
    ALLOWED_HOSTS.append(_public.hostname or "")
    CSRF_TRUSTED_ORIGINS.append(f"{_public.scheme}://{_public.netloc}")
if config.host not in ("0.0.0.0", "::", "127.0.0.1"):  # noqa: S104 - compared, not bound  # nosec B104
    ALLOWED_HOSTS.append(config.host)

_SERVES_PAGES = not config.process_name.startswith(("drain", "worker", "beat"))
INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    # Workers and beat serve no page: they leave the admin's modules where they are.
    "django.contrib.admin" if _SERVES_PAGES else "django.contrib.admin.apps.SimpleAdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_prometheus",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "iotplatform",
    "iotplatform.dashboard",
    "telemetry",
    "thresholds",
    "alerts",
]

MIDDLEWARE = [
    "iotplatform.observability.requests.RequestMiddleware",
    "iotplatform.request_deadline.RequestDeadline",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "iotplatform.access.middleware.AccessMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "iotplatform.urls"
ASGI_APPLICATION = "iotplatform.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "iotplatform.dashboard.shell.frame",
            ],
        },
    }
]

try:
    SERVERS = config.server_urls()
except ConfigError as error:
    raise ImproperlyConfigured(str(error)) from error

_timeout_ms = int(config.database_timeout_seconds * 1000)
#: How long one statement may take where nothing else is said.
STATEMENT_SECONDS = 6 * config.database_timeout_seconds
# Sessions that were forgotten in silence would take up connections for ever; the pool itself hangs up after 10 minutes. Others
# than these may have a connection that waits for hours, for a dump or an import.
_ENDS_WHEN_IDLE = "-c idle_session_timeout=1200000 " if config.process_name.startswith(("web", "drain")) else ""
#: Session settings and keepalives of every connection, on both sides: a cut network frees its locks within about 10 s. The
#: server's own limits do not count while it waits for the rows of a COPY: there its keepalives alone find out.
DATABASE_OPTIONS = {
    "connect_timeout": max(2, int(config.database_timeout_seconds)),
    "keepalives": 1,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "application_name": f"iot-{config.process_name}",
    "options": (
        f"-c statement_timeout={int(STATEMENT_SECONDS * 1000)} -c lock_timeout={_timeout_ms} "
        f"-c idle_in_transaction_session_timeout={3 * _timeout_ms} "
        f"{_ENDS_WHEN_IDLE}"
        "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 -c tcp_user_timeout=10000 "
        # TimescaleDB would refuse a drain of late readings that touches more of its compressed chunks than that, for ever.
        "-c timescaledb.max_tuples_decompressed_per_dml_transaction=0 "
        # The planner takes a look at many chunks for expensive and has it compiled, which costs more than it ever saves.
        "-c jit=off"
    ),
}


def database(url: str) -> dict[str, object]:
    """Django's DATABASES entry for a ``postgresql://`` URL; what the URL says wins over our own options."""
    parts = {name: value for name, value in psycopg.conninfo.conninfo_to_dict(url).items() if value is not None}
    named = {"NAME": "dbname", "USER": "user", "PASSWORD": "password", "HOST": "host", "PORT": "port"}
    entry: dict[str, object] = {key: str(parts.pop(name, "")) for key, name in named.items()}
    entry |= {
        # Counts and times the queries of pages and API (about 30 µs each); intake makes none, drains have their own.
        "ENGINE": "iotplatform.postgresql",
        "OPTIONS": DATABASE_OPTIONS
        | parts
        | {
            "pool": {
                "min_size": 0,
                "max_size": 12,
                "timeout": config.database_timeout_seconds,
                "connection_class": patient(max(STATEMENT_SECONDS, config.query_timeout_seconds)),
                # Else the pause between attempts doubles while the database is away, up to minutes, and all wait for it.
                "reconnect_timeout": 1.0,
            }
        },
        # The pool's connections are asked whether they answer by iotplatform.postgresql.
        "CONN_HEALTH_CHECKS": False,
        "DISABLE_SERVER_SIDE_CURSORS": False,
    }
    return entry


DATABASES = {"default": database(SERVERS["database_url"])}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": SERVERS["cache_url"],
        "KEY_PREFIX": "iot",
        "OPTIONS": {
            "socket_timeout": config.redis_timeout_seconds,
            "socket_connect_timeout": config.redis_timeout_seconds,
        },
    }
}

DEFAULT_FROM_EMAIL = SERVER_EMAIL = config.email_from
try:
    vars().update(mail_settings(config.email_url, config.alert_timeout_seconds))
except ConfigError as error:
    raise ImproperlyConfigured(str(error)) from error

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "dashboard:login"
LOGIN_REDIRECT_URL = "dashboard:overview"
AUTHENTICATION_BACKENDS = ["iotplatform.access.lockout.GuardedBackend"]

LANGUAGE_CODE = "en"
USE_TZ = True
TIME_ZONE = "UTC"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static-root"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"},
}

# Files of the dashboard are for its own pages: no other site may read or embed them.
WHITENOISE_ALLOW_ALL_ORIGINS = False

# Pages are served over HTTPS wherever PUBLIC_URL says so; the embedded default is plain HTTP on loopback.
_https = bool(config.public_url and config.public_url.startswith("https://"))
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = _https
SESSION_COOKIE_HTTPONLY = True
SECURE_HSTS_SECONDS = 31_536_000 if _https else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = _https
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CONTENT_TYPE_NOSNIFF = True
X_FRAME_OPTIONS = "DENY"
if config.trusted_proxies:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
# The proxy that ends TLS sends http:// on to https://. Here, behind it, everything comes in plain HTTP (probes, scrapers,
# the proxy itself), and one that does not set X-Forwarded-Proto would be sent round in circles.
SILENCED_SYSTEM_CHECKS = ["security.W008"]
# The gateway checks bodies against MAX_BODY_BYTES itself; the admin's forms keep Django's own limit.
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "telemetry.api.authentication.DeviceKeyAuthentication",
        "iotplatform.access.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["telemetry.api.permissions.ModelPermissions"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["telemetry.api.parsers.BoundedJSONParser"],
    "DEFAULT_PAGINATION_CLASS": "telemetry.api.pagination.CursorPagination",
    "DEFAULT_SCHEMA_CLASS": "iotplatform.access.schema.ScopedSchema",
    "EXCEPTION_HANDLER": "telemetry.api.problems.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
    "DATETIME_FORMAT": "iso-8601",
    "COERCE_DECIMAL_TO_STRING": False,
    "DEFAULT_THROTTLE_CLASSES": ["iotplatform.access.rates.RequestRate"],
}

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=15),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    # The only one that our own tokens may be signed with; those of another issuer: iotplatform.access.issuer.
    "ALGORITHM": "HS256",
    "SIGNING_KEY": SECRET_KEY,
    # A changed password ends the tokens that were got with the old one.
    "CHECK_REVOKE_TOKEN": True,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "IoT telemetry platform",
    "DESCRIPTION": "Devices send readings; every one of them is stored exactly once, and answered from.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["telemetry.api.schema.add_gateway"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "telemetry.api.schema.add_problems"],
    "ENUM_NAME_OVERRIDES": {
        "AlertState": "alerts.models.Alert.State",
        "DeviceState": "telemetry.device_state.DeviceState",
        "KeyState": ["valid", "expired", "revoked"],
        "QuarantineState": "telemetry.models.quarantine.QuarantinedReading.State",
        "RoleName": ["viewer", "operator", "administrator"],
        "ReceiptState": ["pending", "stored", "lost"],
        "Severity": "thresholds.level_order.SEVERITIES",
    },
}

LOGGING_CONFIG = None  # structlog is configured in iotplatform.observability.logs, once per process
