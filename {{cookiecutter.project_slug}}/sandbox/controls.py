"""The sandbox's own addresses below `/_sandbox`: health, the record of calls, and faults to order."""

from __future__ import annotations

import json
from collections import deque
from dataclasses import asdict, dataclass
from threading import Lock
from typing import Any

from sandbox.operations import Refusal

PREFIX = "/_sandbox/"
_MOST_CALLS = 50_000


@dataclass(frozen=True)
class Recorded:
    """One call of the record: who asked for what, and whether the policies allowed it."""

    service: str
    operation: str
    principal: str
    resource: str
    allowed: bool


@dataclass
class Fault:
    """An error to answer with, before an operation is done or after, for so many times.

    Args:
        operation: its name in the API, such as `CreateModelPackage` or `PutObject`.
        status: the HTTP status.
        code: the error's name.
        times: how often it still happens.
        when: `before` nothing has been done, or `after` it was done and only the answer is lost.
    """

    operation: str
    status: int = 500
    code: str = "InternalFailure"
    times: int = 1
    when: str = "before"


class Controls:
    """What tests and the curious ask of the sandbox itself."""

    def __init__(self) -> None:
        self._calls: deque[Recorded] = deque(maxlen=_MOST_CALLS)
        self._faults: list[Fault] = []
        self._lock = Lock()

    def record(self, call: Recorded) -> None:
        """Add a call to the record."""
        self._calls.append(call)

    def awaits(self, operation: str, when: str) -> bool:
        """Whether a fault was ordered for this operation and moment."""
        return any(each.operation == operation and each.when == when for each in self._faults)

    def meet(self, operation: str, when: str) -> None:
        """Raise the fault that was ordered for this operation and moment, if one was."""
        if not self._faults:
            return
        with self._lock:
            fault = next((each for each in self._faults if each.operation == operation and each.when == when), None)
            if fault is None:
                return
            fault.times -= 1
            self._faults = [each for each in self._faults if each.times > 0]
        message = "Rate exceeded" if fault.code.startswith("Throttling") else f"a fault ordered {when} {operation}"
        raise Refusal(fault.code, message, fault.status)

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        """Status and JSON content for a request below `/_sandbox`."""
        match method, path.removeprefix(PREFIX):
            case "GET", "health":
                return 200, {"status": "ok"}
            case "GET", "calls":
                return 200, [asdict(each) for each in list(self._calls)]
            case "DELETE", "calls":
                self._calls.clear()
                return 200, []
            case "POST", "faults":
                return self._order(body)
            case "GET", "faults":
                return 200, [asdict(each) for each in self._faults]
            case "DELETE", "faults":
                self._faults = []
                return 200, []
        return 404, {"message": f"{PREFIX} has health, calls and faults"}

    def _order(self, body: bytes) -> tuple[int, Any]:
        try:
            fault = Fault(**json.loads(body))
        except (TypeError, ValueError) as error:
            return 400, {"message": f"a fault has operation, status, code, times, when: {error}"}
        if fault.when not in ("before", "after"):
            return 400, {"message": f"when is {fault.when!r}; before or after is allowed"}
        with self._lock:
            self._faults.append(fault)
        return 200, asdict(fault)
