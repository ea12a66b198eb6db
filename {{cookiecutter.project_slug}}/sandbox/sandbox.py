"""The sandbox as its parts see it: state, settings, clock, and AWS clients against itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from sandbox.asked import Asked
from sandbox.documents import Documents


@dataclass(frozen=True)
class Credentials:
    """An access key that the sandbox knows, and the ARN of whom it stands for."""

    arn: str
    access_key_id: str
    secret_access_key: str = "sandbox"
    session_token: str | None = None

    def environment(self) -> dict[str, str]:
        """The variables that hand this key to another process."""
        token = {"AWS_SESSION_TOKEN": self.session_token} if self.session_token else {}
        return {"AWS_ACCESS_KEY_ID": self.access_key_id, "AWS_SECRET_ACCESS_KEY": self.secret_access_key, **token}


@dataclass
class Sandbox:
    """One running sandbox.

    Args:
        documents: what it remembers.
        state: the folder it keeps everything in; parts make their own folders below it.
        url: the address it listens on.
        time_scale: seconds of AWS per second here: a wait of 60 s takes `60 / time_scale`.
        settings: mlops.yaml as plain data.
        repository: `OWNER@ID/REPO@ID` on GitHub whose workflows the roles trust, or None.
        infrastructure: the project has infra/, which makes the keys that the settings do not name.
        asked: where it is written down what roles ask for, or None.
        on_stop: called in turn when the sandbox stops: stop processes, let go of ports.
        on_first: service → what its first request waits for, so that the start does not.
    """

    documents: Documents
    state: Path
    url: str
    time_scale: float
    settings: dict[str, Any]
    repository: str | None = None
    asked: Asked | None = None
    infrastructure: bool = False
    on_stop: list[Callable[[], None]] = field(default_factory=list)
    on_first: dict[str, Callable[[], None]] = field(default_factory=dict)
    _clients: dict[tuple[str, str, str], Any] = field(default_factory=dict, repr=False)
    _session: Any = field(default=None, repr=False)
    _clients_lock: Lock = field(default_factory=Lock, repr=False)

    def seconds(self, seconds_of_aws: float) -> float:
        """How long a wait that takes so many seconds on AWS takes here."""
        return seconds_of_aws / self.time_scale

    def administrator(self, account: str) -> Credentials:
        """The key that may do everything in an account."""
        return Credentials(f"arn:aws:iam::{account}:root", f"sandbox-{account}")

    def client(self, service: str, account: str, region: str) -> Any:
        """A boto3 client against this sandbox, as administrator of an account."""
        return self.client_as(service, self.administrator(account), region)

    def client_as(self, service: str, credentials: Credentials, region: str) -> Any:
        """A boto3 client against this sandbox, as whom the credentials stand for; made once and kept."""
        key = (service, credentials.access_key_id, region)
        # Making a client from the shared session is not safe in threads, using one is.
        with self._clients_lock:
            if key not in self._clients:
                self._clients[key] = self._new_client(service, credentials, region)
            return self._clients[key]

    def assume(
        self, role_arn: str, service: str = "sagemaker.amazonaws.com", session: str = "SageMaker"
    ) -> Credentials:
        """The session of a role that a service takes on to act for it: jobs and endpoints do.

        Raises:
            Refusal: there is no such role, or it does not trust the service.
        """
        from sandbox import tokens

        return tokens.assume_for_service(self, role_arn, service, session)

    def emit(self, account: str, region: str, detail_type: str, detail: dict[str, Any]) -> None:
        """Send an event of `aws.sagemaker` to EventBridge's default bus; sometimes it arrives twice, as on AWS."""
        from sandbox import events

        events.emit(self, account, region, detail_type, detail)

    def stop(self) -> None:
        """Run what parts asked for at the end, the newest first; one that fails does not keep the rest from ending."""
        while self.on_stop:
            try:
                self.on_stop.pop()()
            except Exception as problem:
                print(f"sandbox: while stopping: {problem}", flush=True)

    def _new_client(self, service: str, credentials: Credentials, region: str) -> Any:
        from botocore.config import Config

        if self._session is None:
            import boto3

            self._session = boto3.session.Session()
        return self._session.client(
            service,
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
