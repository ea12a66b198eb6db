"""Data capture: requests and answers of an endpoint, written to S3 as JSON lines for monitoring to read."""

from __future__ import annotations

import base64
import json
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from sandbox.documents import Document
from sandbox.jobs.storage import NotReadable, storage
from sandbox.sandbox import Sandbox

_SECONDS_BETWEEN = 0.2


@dataclass(frozen=True)
class Place:
    """Where lines go, and as whom they are written."""

    prefix: str
    role: str
    region: str
    key: str | None


class Writer:
    """Gathers lines and writes them in the background, several to an object: nobody's prediction waits for S3."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._waiting: dict[Place, list[str]] = defaultdict(list)
        self._lock = Lock()
        self._stopped = Event()
        Thread(target=self._work, daemon=True, name="capture").start()
        sandbox.on_stop.append(self._stop)

    def add(self, place: Place, line: str) -> None:
        """Take a line."""
        with self._lock:
            self._waiting[place].append(line)

    def flush(self) -> None:
        """Write what is waiting."""
        with self._lock:
            waiting, self._waiting = self._waiting, defaultdict(list)
        for place, lines in waiting.items():
            moment = datetime.now(UTC)
            key = f"{place.prefix}/{moment:%Y/%m/%d/%H}/{moment:%M-%S-%f}-{uuid.uuid4()}.jsonl"
            try:
                role = storage(self._sandbox, place.role, place.region)
                role.write(key, "".join(lines).encode(), place.key)
            except NotReadable as problem:
                print(f"sandbox: captured data was lost: {problem}", flush=True)

    def _work(self) -> None:
        while not self._stopped.wait(_SECONDS_BETWEEN):
            self.flush()

    def _stop(self) -> None:
        self._stopped.set()
        _WRITERS.pop(self._sandbox.state, None)
        self.flush()


_WRITERS: dict[Path, Writer] = {}
_LOCK = Lock()


def writer(sandbox: Sandbox) -> Writer:
    """The sandbox's writer, started when this is the first to ask for it."""
    with _LOCK:
        if sandbox.state not in _WRITERS:
            _WRITERS[sandbox.state] = Writer(sandbox)
        return _WRITERS[sandbox.state]


def line(settings: Document, request: tuple[bytes, str], answer: tuple[bytes, str], event: dict[str, Any]) -> str:
    """One captured request as SageMaker writes it; bodies of types that the settings do not name are base64."""
    headers = settings.get("CaptureContentTypeHeader") or {}
    modes = {option["CaptureMode"] for option in settings["CaptureOptions"]}
    both = "InputAndOutput" in modes
    data = {}
    if both or "Input" in modes:
        data["endpointInput"] = _side(*request, "INPUT", headers)
    if both or "Output" in modes:
        data["endpointOutput"] = _side(*answer, "OUTPUT", headers)
    moment = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    about = {"eventId": str(uuid.uuid4()), "inferenceTime": moment, **event}
    return json.dumps({"captureData": data, "eventMetadata": about, "eventVersion": "0"}) + "\n"


def _side(body: bytes, content_type: str, mode: str, headers: Document) -> Document:
    kind = content_type.partition(";")[0].strip()
    if kind in (headers.get("CsvContentTypes") or ()):
        encoding = "CSV"
    elif kind in (headers.get("JsonContentTypes") or ()):
        encoding = "JSON"
    else:
        encoding = "BASE64"
    data = base64.b64encode(body).decode() if encoding == "BASE64" else body.decode(errors="replace")
    return {"observedContentType": content_type, "mode": mode, "data": data, "encoding": encoding}
