"""What containers print, sent to CloudWatch Logs in the groups that SageMaker uses."""

from __future__ import annotations

import contextlib
import time
from threading import Lock
from typing import Any

from botocore.exceptions import ClientError

_AT_ONCE = 1000
_SECONDS_BETWEEN = 0.25


class LogStream:
    """A stream of a log group; lines are kept as well, for metrics and reasons of failure.

    Args:
        logs: a CloudWatch Logs client.
        group: such as `/aws/sagemaker/TrainingJobs`; made when it is not there.
        name: of the stream.
    """

    def __init__(self, logs: Any, group: str, name: str) -> None:
        self.lines: list[str] = []
        self._logs, self._group, self._name = logs, group, name
        self._unsent: list[dict[str, Any]] = []
        self._sent = time.monotonic()
        self._made = False
        self._lock = Lock()

    def line(self, text: str) -> None:
        """Take a line; it is sent soon, with those around it."""
        with self._lock:
            self.lines.append(text)
            # CloudWatch refuses an empty message.
            self._unsent.append({"timestamp": int(time.time() * 1000), "message": text or " "})
            if len(self._unsent) >= _AT_ONCE or time.monotonic() - self._sent > _SECONDS_BETWEEN:
                self._send()

    def flush(self) -> None:
        """Send what was not sent yet."""
        with self._lock:
            self._send()

    def _send(self) -> None:
        self._sent = time.monotonic()
        if not self._made:
            # Made with the first job's first lines; another may have made it meanwhile.
            with contextlib.suppress(ClientError):
                self._logs.create_log_group(logGroupName=self._group)
            with contextlib.suppress(ClientError):
                self._logs.create_log_stream(logGroupName=self._group, logStreamName=self._name)
            self._made = True
        if self._unsent:
            self._logs.put_log_events(logGroupName=self._group, logStreamName=self._name, logEvents=self._unsent)
            self._unsent = []
