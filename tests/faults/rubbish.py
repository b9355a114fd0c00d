"""Messages in Celery's queues that are no tasks, in every way that was thought of."""

from __future__ import annotations

import base64
import json
import uuid
from typing import Any

__all__ = ["rubbish", "task_message"]


def task_message(name: str, arguments: object = (), content_type: str = "application/json", **changed: Any) -> bytes:
    """As Celery publishes a task; ``changed``: other keys of the envelope."""
    body = base64.b64encode(json.dumps([arguments, {}, {}]).encode()).decode()
    return json.dumps(
        {
            "body": body,
            "content-encoding": "utf-8",
            "content-type": content_type,
            "headers": {"lang": "py", "task": name, "id": str(uuid.uuid4()), "root_id": None, "parent_id": None},
            "properties": _properties(),
            **changed,
        }
    ).encode()


def rubbish(known: str, other: str) -> list[bytes]:
    """Each wrong in another way. ``known``: a task without arguments; ``other``: one with a whole number."""
    unsent = {**_properties(), "delivery_info": None}
    return [
        task_message("iotplatform.tasks.nobody_knows_it"),
        task_message(known, ["one", "too", "many"]),
        task_message(other, ["no number"]),
        task_message(other, [10**9]),
        task_message(known, [], "application/x-python-serialize"),
        task_message(known, [], "application/x-yaml"),
        task_message(known, {"not": "a list"}),
        task_message(known, body="no base64!"),
        task_message(known, body=base64.b64encode(b"\x80\x04 no JSON").decode()),
        task_message(known, body=None),
        task_message(known, headers=None),
        task_message(known, headers={}),
        task_message(known, headers={"task": known, "id": 7}),
        task_message(known, headers={"task": known, "id": "7", "timelimit": "soon", "eta": "yesterday"}),
        task_message(known, headers={"task": known, "id": "8", "expires": {"never": "ever"}}),
        task_message(known, properties=unsent),
        task_message(known, properties={}),
        json.dumps({"task": known, "id": "9", "args": [], "kwargs": {}}).encode(),
        b'{"body": "%%%", "properties": {}}',
        b"[]",
        b"null",
        b'"text"',
        b"7",
        b"no JSON at all",
        b"\xff\xfe\x00",
        b"",
    ]


def _properties() -> dict[str, Any]:
    return {
        "delivery_mode": 2,
        "delivery_info": {"exchange": "", "routing_key": ""},
        "delivery_tag": str(uuid.uuid4()),
        "body_encoding": "base64",
    }
