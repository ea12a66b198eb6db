"""Events of SageMaker on EventBridge's default bus, so that rules and their targets see state changes."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from sandbox import backends
from sandbox.sandbox import Sandbox

EVERY_THIRD = 3
"""Each so many-th event is sent twice: EventBridge promises at least one delivery, so consumers must bear two."""


def emit(sandbox: Sandbox, account: str, region: str, detail_type: str, detail: dict[str, Any]) -> None:
    """Put an event of `aws.sagemaker` on the default bus of an account."""
    with sandbox.documents.lock:
        counter = sandbox.documents.table("Counter", "-", "-").setdefault("events", {"sent": 0})
        counter["sent"] += 1
        sandbox.documents.changed()
        times = 2 if counter["sent"] % EVERY_THIRD == 0 else 1
    entry = {"Source": "aws.sagemaker", "DetailType": detail_type, "Detail": json.dumps(detail, default=_milliseconds)}
    bus = backends.backends("events")[account][region]
    for _ in range(times):
        try:
            bus.put_events([dict(entry)])
        except NotImplementedError as problem:
            print(f"sandbox: an event rule of {account} has a target that moto can not reach: {problem}", flush=True)


def _milliseconds(value: object) -> int:
    """Times in SageMaker's events are milliseconds since 1970."""
    if isinstance(value, datetime):
        return int(value.timestamp() * 1000)
    raise TypeError(f"an event can not hold a {type(value).__name__}")
