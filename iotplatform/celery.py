"""The Celery application. Messages only say "drain shard 3"; readings never ride in them."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery
from celery.signals import beat_init, celeryd_after_setup, setup_logging, worker_init
from kombu import Queue

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotplatform.settings")

from django.conf import settings

from iotplatform import broker
from iotplatform.env import config
from iotplatform.queues import DEFAULT_QUEUE, drain_queue


def broker_url(url: str) -> str:
    """Kombu's spelling of a Redis URL: it names unix sockets ``redis+socket://`` and takes ``virtual_host`` for db."""
    if url.startswith("unix://"):
        return url.replace("unix://", "redis+socket://", 1).replace("?db=", "?virtual_host=")
    return url


broker.use()
app = Celery("iotplatform")
app.conf.update(
    broker_url=broker_url(settings.SERVERS["redis_url"]),
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    # A log server without memory refuses what a message needs: no reason to end, it passes.
    broker_channel_error_retry=True,
    broker_connection_timeout=config.redis_timeout_seconds,
    broker_transport_options={
        "global_keyprefix": "celery:",
        "socket_timeout": 10 * config.redis_timeout_seconds,
        "socket_connect_timeout": config.redis_timeout_seconds,
        "socket_keepalive": True,
        "health_check_interval": 10,
        # A drain message lost with its worker is repeated by the sweep long before this.
        "visibility_timeout": 3600,
    },
    task_ignore_result=True,
    task_default_queue=DEFAULT_QUEUE,
    task_queues=[Queue(DEFAULT_QUEUE), *(Queue(drain_queue(shard)) for shard in range(config.shards))],
    task_create_missing_queues=True,
    task_serializer="json",
    accept_content=["json"],
    task_acks_late=False,
    worker_prefetch_multiplier=1,
    worker_send_task_events=False,
    # Nobody commands workers from afar; whoever can reach the broker could.
    worker_enable_remote_control=False,
    worker_hijack_root_logger=False,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    beat_scheduler="iotplatform.beat:SteadyScheduler",
    timezone="UTC",
)
app.autodiscover_tasks(["iotplatform"])


@app.on_after_finalize.connect
def _schedule(sender: Celery, **_: Any) -> None:
    from iotplatform.tasks import beat_schedule

    sender.conf.beat_schedule = beat_schedule()


@celeryd_after_setup.connect
def _hold_lifeline(instance: Any, **_: Any) -> None:
    from iotplatform.tasks import hold_lifeline

    consumed = instance.app.amqp.queues.consume_from
    hold_lifeline([shard for shard in range(config.shards) if drain_queue(shard) in consumed])


@worker_init.connect
def _trace(**_: Any) -> None:
    from telemetry import tracing

    tracing.switch_on(config.tracing_endpoint, config.tracing_headers, config.tracing_sample, config.process_name)


@setup_logging.connect
def _configure_logging(**_: Any) -> None:
    from iotplatform.observability.logs import configure

    configure(config.process_name)


@worker_init.connect
@beat_init.connect
def _show_metrics(**_: Any) -> None:
    from iotplatform.observability.process_watch import watch
    from iotplatform.observability.scrape_port import serve

    watch(config.process_name)
    serve(config.host, config.metrics_port)


@worker_init.connect
def _count_tasks(**_: Any) -> None:
    from iotplatform.observability.task_metrics import observe

    observe(app)
