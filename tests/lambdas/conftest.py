"""The Lambdas as AWS runs them: their zip, AWS's own runtime client, a Runtime API, and a GitHub that remembers."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import queue
import subprocess
import sys
import sysconfig
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

PROJECT = Path(__file__).parents[2] / "{{cookiecutter.project_slug}}"
REGION, ACCOUNT = "eu-west-1", "222222222222"
REPOSITORY = "acme/churn"
SECONDS = 60
GIVEN_BY_AWS = ("awslambdaric", "boto3", "botocore", "dateutil", "jmespath", "runtime_client*", "s3transfer",
                "simplejson", "six.py", "snapshot_restore_py*", "urllib3")  # fmt: skip
"""What is in Lambda's Python beside the standard library; the rest has to be in the zip."""
SETTINGS = f"""
project: churn
package: churn
region: {REGION}
environments:
  - {{name: dev, account: "111111111111"}}
  - {{name: prod, account: "{ACCOUNT}", approval: manual, endpoint: {{}}}}
stages: {{}}
"""


@dataclass
class Answer:
    """What a function gave back, or the error that it ended with, and what it logged meanwhile."""

    result: Any
    error: str | None
    log: str


class Api(BaseHTTPRequestHandler):
    """An HTTP server for one test; `answer` is the whole of it."""

    server: Any

    def do_GET(self) -> None:
        self._do()

    def do_POST(self) -> None:
        self._do()

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, headers, content = self.server.answer(self.command, self.path, dict(self.headers), body)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


def serve(answer: Callable[..., tuple[int, dict[str, str], bytes]]) -> ThreadingHTTPServer:
    """Serve until the process ends, or `shutdown`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.daemon_threads = True
    server.answer = answer  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


@dataclass
class Function:
    """A function of the zip in a process of its own, fed with events through the Runtime API."""

    process: subprocess.Popen[bytes]
    log: Path
    server: ThreadingHTTPServer
    events: queue.Queue[Any]
    results: queue.Queue[tuple[str, Any]]

    def __call__(self, event: Any) -> Answer:
        """Hand it an event and wait for its end."""
        before = self.log.stat().st_size
        self.events.put(event)
        end = time.monotonic() + SECONDS
        while True:
            try:
                kind, content = self.results.get(timeout=0.5)
                break
            except queue.Empty:
                alive = self.process.poll() is None and time.monotonic() < end
                assert alive, f"the function gave no answer: {self.log.read_text()[-4000:]}"
        log = self.log.read_bytes()[before:].decode()
        if kind == "error":
            return Answer(None, f"{content.get('errorType')}: {content.get('errorMessage')}", log)
        return Answer(content, None, log)


@pytest.fixture(scope="session")
def lambdas_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip, for this machine's Python."""
    if importlib.util.find_spec("awslambdaric") is None:
        pytest.skip("awslambdaric is missing: the functions are not run")
    from lambdas import package

    target = tmp_path_factory.mktemp("zip") / "lambdas.zip"
    package.build(target, f"3.{sys.version_info.minor}", f"{platform.machine()}-manylinux_2_28")
    return target


@pytest.fixture(scope="session")
def unpacked(lambdas_zip: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The zip as Lambda unpacks it, and a folder with what Lambda has beside it."""
    task, given = tmp_path_factory.mktemp("task"), tmp_path_factory.mktemp("given")
    with zipfile.ZipFile(lambdas_zip) as archive:
        archive.extractall(task)
    packages = Path(sysconfig.get_path("purelib"))
    for pattern in GIVEN_BY_AWS:
        for found in packages.glob(pattern):
            (given / found.name).symlink_to(found)
    return task, given


@pytest.fixture(scope="session")
def functions(
    unpacked: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Function]]:
    """Start functions; all of them end with the tests."""
    made: list[Function] = []

    def started(handler: str, name: str = "churn-prod-function", seconds: int = 60, **variables: str) -> Function:
        task, given = unpacked
        events: queue.Queue[Any] = queue.Queue()
        results: queue.Queue[tuple[str, Any]] = queue.Queue()

        def answer(method: str, path: str, _: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
            if method == "GET":
                headers = {
                    "Lambda-Runtime-Aws-Request-Id": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
                    "Lambda-Runtime-Deadline-Ms": str(int((time.time() + seconds) * 1000)),
                    "Lambda-Runtime-Invoked-Function-Arn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}",
                    "Content-Type": "application/json",
                }
                return 200, headers, json.dumps(events.get()).encode()
            results.put((path.rpartition("/")[2], json.loads(body or b"null")))
            return 202, {}, b""

        server = serve(answer)
        log = tmp_path_factory.mktemp("log") / "log"
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{task}{os.pathsep}{given}",
            "LAMBDA_TASK_ROOT": str(task),
            "_HANDLER": handler,
            "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{server.server_port}",
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_LAMBDA_LOG_STREAM_NAME": "one",
            "AWS_EXECUTION_ENV": "AWS_Lambda_python3.13",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            **variables,
        }
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-S", "-m", "awslambdaric", handler], cwd=task, env=environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        made.append(Function(process, log, server, events, results))
        return made[-1]

    yield started
    for function in made:
        function.process.kill()
        function.process.wait(timeout=10)
        function.server.shutdown()


@dataclass
class GitHub:
    """A GitHub that knows one App in one repository, and remembers which workflows were started."""

    key: Any
    url: str = ""
    started: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)

    def secret(self) -> str:
        """The App's secret, as bootstrap stores it."""
        encoding = (serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL)
        pem = self.key.private_bytes(*encoding, serialization.NoEncryption()).decode()
        return json.dumps({"app_id": 4711, "private_key": pem})

    def answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Answer as GitHub does; what it would not take is a problem."""
        import jwt

        bearer = headers["Authorization"].removeprefix("Bearer ")
        content = json.loads(body) if body else None
        if path == f"/repos/{REPOSITORY}/installation" or path.startswith("/app/"):
            try:
                claims = jwt.decode(bearer, self.key.public_key(), algorithms=["RS256"])
            except jwt.PyJWTError as error:
                return 401, {}, json.dumps({"message": str(error)}).encode()
            if claims["iss"] != "4711" or claims["exp"] - claims["iat"] > 600:
                self.problems.append(f"claims {claims}")
        if (method, path) == ("GET", f"/repos/{REPOSITORY}/installation"):
            return 200, {}, b'{"id": 99}'
        if (method, path) == ("POST", "/app/installations/99/access_tokens"):
            if content != {"repositories": ["churn"], "permissions": {"actions": "write"}}:
                self.problems.append(f"a token with {content}")
            return 201, {}, b'{"token": "ghs_one", "expires_at": "2030-01-01T00:00:00Z"}'
        if method == "POST" and path.startswith(f"/repos/{REPOSITORY}/actions/workflows/") and bearer == "ghs_one":
            if self.faults:
                return self.faults.pop(0), {}, b'{"message": "Server Error"}'
            self.started.append((path.split("/")[-2], content))
            return 204, {}, b""
        self.problems.append(f"{method} {path}")
        return 404, {}, b'{"message": "Not Found"}'


@pytest.fixture(scope="session")
def github_app() -> Iterator[GitHub]:
    """One GitHub for all tests."""
    made = GitHub(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    server = serve(made.answer)
    made.url = f"http://127.0.0.1:{server.server_port}"
    yield made
    server.shutdown()


@pytest.fixture
def github(github_app: GitHub) -> GitHub:
    """GitHub, with nothing started yet."""
    github_app.started.clear()
    github_app.problems.clear()
    github_app.faults.clear()
    return github_app


@dataclass(frozen=True)
class Cloud:
    """A sandbox."""

    url: str

    def client(self, service: str) -> Any:
        """A client with all rights in the account."""
        return boto3.client(
            service, region_name=REGION, endpoint_url=self.url, aws_access_key_id=f"sandbox-{ACCOUNT}",
            aws_secret_access_key="any", config=Config(retries={"total_max_attempts": 1}),
        )  # fmt: skip

    def variables(self) -> dict[str, str]:
        """What a process needs to be in it."""
        key = {"AWS_ACCESS_KEY_ID": f"sandbox-{ACCOUNT}", "AWS_SECRET_ACCESS_KEY": "any"}
        return {**key, "AWS_ENDPOINT_URL": self.url}


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """A sandbox for these tests."""
    folder = tmp_path_factory.mktemp("sandbox")
    (folder / "mlops.yaml").write_text(SETTINGS)
    process = subprocess.Popen(
        [sys.executable, "-m", "sandbox", "--state", folder / "state", "--settings", folder / "mlops.yaml",
         "--parent", str(os.getpid())], env={**os.environ, "PYTHONPATH": str(PROJECT)},
    )  # fmt: skip
    address, end = folder / "state" / "server.json", time.monotonic() + SECONDS
    while not address.exists():
        assert process.poll() is None and time.monotonic() < end, "the sandbox did not start"
        time.sleep(0.05)
    yield Cloud(json.loads(address.read_text())["url"])
    process.terminate()
    process.wait(timeout=20)
