"""An endpoint that comes to serve is checked once: the function's zip, run as AWS runs it and with its rights alone."""

from __future__ import annotations

import datetime
import fnmatch
import hashlib
import io
import json
import ssl
import tarfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

pytestmark = pytest.mark.slow

ACCOUNT, BUCKET, ENDPOINT, TABLE = "222222222222", "churn-prod-222222222222", "churn-prod", "churn-prod-checks"
CONFIG = "churn-prod-v7-01234567"
TOPIC = f"arn:aws:sns:eu-west-1:{ACCOUNT}:churn-prod-alarms"
SECRET, WEBHOOK = "churn-slack", "https://hooks.slack.com/services/T0/B0/notToBeLogged"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/churn-prod-checks"
IMAGE = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
MODEL = """
def model_fn(folder): return "yes"
def transform_fn(model, body, content_type, accept): return '{"label": "<!channel> & yes"}', "application/json"
"""
LOAD = {"rate": {"N": "40"}, "seconds": {"N": "0.1"}, "p95_ms": {"N": "9000"}}


def contract(label: str) -> bytes:
    """A contract of two requests that wants one answer."""
    request = {"content_type": "text/csv", "body": "1", "expect": {"label": {"value": label}}}
    return yaml.safe_dump({"version": 1, "requests": [{**request, "name": name} for name in ("one", "two")]}).encode()


RIGHT, WRONG = contract("<!channel> & yes"), contract("no")


class Tunnel(BaseHTTPRequestHandler):
    """A proxy that ends the TLS of whatever it is asked to reach, and remembers what came through."""

    server: Any

    def do_CONNECT(self) -> None:
        self.server.reached.append(self.path)
        self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        self.connection = self.server.tls.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
        self.handle_one_request()
        self.wfile.flush()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.server.faults.pop(0) if self.server.faults else 200
        if status == 200:
            self.server.posts.append((self.path, body["text"]))
        self.wfile.write(f"HTTP/1.1 {status} x\r\nLocation: https://elsewhere.example/\r\n".encode())
        self.wfile.write(b"Content-Length: 2\r\nConnection: close\r\n\r\nok")

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


@dataclass
class Slack:
    """Slack behind a proxy, as the function reaches it: by its own address, over a TLS that it trusts in the tests."""

    authority: Path
    server: Any
    posts: list[tuple[str, str]] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)

    def variables(self) -> dict[str, str]:
        """What leads a process here."""
        proxy = f"http://127.0.0.1:{self.server.server_port}"
        return {"HTTPS_PROXY": proxy, "NO_PROXY": "127.0.0.1", "SSL_CERT_FILE": str(self.authority)}


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate of hooks.slack.com that nobody but these tests trusts, and the TLS of its owner."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hooks.slack.com")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(1)).not_valid_after(now + datetime.timedelta(1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hooks.slack.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    public, secret = folder / "certificate.pem", folder / "key.pem"
    public.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    secret.write_bytes(key.private_bytes(*form))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(public, secret)
    return public, tls


@pytest.fixture(scope="module")
def slack_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slack]:
    authority, tls = certificate(tmp_path_factory.mktemp("slack"))
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Tunnel)
    server.daemon_threads, server.tls = True, tls
    made = Slack(authority, server)
    server.posts, server.reached, server.faults = made.posts, made.reached, made.faults
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield made
    server.shutdown()


@dataclass
class World:
    """An endpoint, its line in the table, and who is told of it."""

    cloud: Any
    queues: dict[str, str]

    def hold(self, text: bytes, config: str = CONFIG, **entry: Any) -> None:
        """Write what the endpoint is held to, as a deployment does, and forget what came of it."""
        digest = hashlib.sha256(text).hexdigest()
        key = f"endpoints/{ENDPOINT}/contracts/{digest}.yaml"
        self.cloud.client("s3").put_object(Bucket=BUCKET, Key=key, Body=text)
        asked = {"contract": {"S": f"s3://{BUCKET}/{key}"}, "sha256": {"S": digest}, "written": {"S": "now"}, **entry}
        item = {"endpoint": {"S": ENDPOINT}, "checks": {"M": {config: {"M": asked}}}}
        self.cloud.client("dynamodb").put_item(TableName=TABLE, Item=item)

    def line(self) -> dict[str, Any]:
        """What the table has of the endpoint."""
        answer = self.cloud.client("dynamodb").get_item(TableName=TABLE, Key={"endpoint": {"S": ENDPOINT}})
        return dict(answer["Item"])

    def result(self) -> dict[str, Any]:
        """What came of the checks."""
        return dict(self.line()["result"]["M"])

    def arrived(self, queue: str) -> list[Any]:
        """What has come into a queue since the last look, in its order."""
        sqs, found = self.cloud.client("sqs"), []
        while messages := sqs.receive_message(QueueUrl=self.queues[queue], MaxNumberOfMessages=10).get("Messages"):
            for each in messages:
                found.append(json.loads(each["Body"]))
                sqs.delete_message(QueueUrl=self.queues[queue], ReceiptHandle=each["ReceiptHandle"])
        return found

    def told(self) -> list[tuple[str, str]]:
        """What the topic was told since the last look: subjects and messages."""
        return [(each["Subject"], each["Message"]) for each in self.arrived("told")]

    def control(self, method: str, path: str, content: Any = None) -> Any:
        data = json.dumps(content).encode() if content else None
        request = urllib.request.Request(f"{self.cloud.url}/_sandbox/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def asked(self) -> int:
        """How often the endpoint was asked by the function."""
        return sum(each["operation"] == "InvokeEndpoint" for each in self.control("GET", "calls"))


@pytest.fixture(scope="module")
def accounts(cloud: Any, rights_of_checks: Any) -> World:
    """The account as Terraform leaves it, and a model that may be served."""
    clients = {
        name: cloud.client(name) for name in ("iam", "sns", "sqs", "events", "secretsmanager", "s3", "sagemaker")
    }
    rights = [
        {"Effect": "Allow", "Action": action, "Resource": resource}
        for action, resource in sorted(rights_of_checks(ACCOUNT, "churn-prod", [ENDPOINT]))
    ]
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    clients["iam"].create_role(
        RoleName="churn-prod-checks",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    clients["iam"].put_role_policy(
        RoleName="churn-prod-checks",
        PolicyName="mlops",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights}),
    )
    clients["secretsmanager"].create_secret(Name=SECRET, SecretString=WEBHOOK)
    queues = {name: clients["sqs"].create_queue(QueueName=name)["QueueUrl"] for name in ("told", "events")}
    arns = {name: f"arn:aws:sqs:eu-west-1:{ACCOUNT}:{name}" for name in queues}
    clients["sns"].create_topic(Name="churn-prod-alarms")
    clients["sns"].subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=arns["told"])
    pattern = {"detail-type": ["SageMaker Endpoint State Change"], "detail": {"EndpointStatus": ["IN_SERVICE"]}}
    clients["events"].put_rule(Name="serving", EventPattern=json.dumps(pattern))
    clients["events"].put_targets(Rule="serving", Targets=[{"Id": "queue", "Arn": arns["events"]}])
    code = io.BytesIO()
    with tarfile.open(fileobj=code, mode="w:gz") as archive:
        member = tarfile.TarInfo("code/inference.py")
        member.size = len(MODEL)
        archive.addfile(member, io.BytesIO(MODEL.encode()))
    clients["s3"].put_object(Bucket=BUCKET, Key="models/one/model.tar.gz", Body=code.getvalue())
    clients["sagemaker"].create_model(
        ModelName=CONFIG, ExecutionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/churn-prod-execution",
        PrimaryContainer={"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/models/one/model.tar.gz"},
    )  # fmt: skip
    clients["sagemaker"].create_endpoint_config(
        EndpointConfigName=CONFIG,
        ProductionVariants=[
            {"VariantName": "model", "ModelName": CONFIG, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        ],
    )
    return World(cloud, queues)


@pytest.fixture(scope="module")
def function(functions: Any, cloud: Any, slack_server: Slack, accounts: World) -> Any:
    """The function under its role, with the variables that Terraform gives it."""
    given = cloud.client("sts").assume_role(RoleArn=ROLE, RoleSessionName="function")["Credentials"]
    return functions(
        "lambdas.checks.handler",
        "churn-prod-checks",
        900,
        **slack_server.variables(),
        AWS_ENDPOINT_URL=cloud.url,
        AWS_ACCESS_KEY_ID=given["AccessKeyId"],
        AWS_SECRET_ACCESS_KEY=given["SecretAccessKey"],
        AWS_SESSION_TOKEN=given["SessionToken"],
        ENDPOINTS=f"{ENDPOINT},churn-prod-challenger", TABLE=TABLE, TOPIC=TOPIC, SLACK_SECRET=SECRET,
        AWS_MAX_ATTEMPTS="2",
    )  # fmt: skip


@pytest.fixture(scope="module")
def began(function: Any, accounts: World) -> Iterator[list[Any]]:
    """The endpoint comes to serve; the events that the sandbox sends of it, whose first was handed on too early."""
    accounts.hold(RIGHT, load={"M": LOAD})
    accounts.cloud.client("sagemaker").create_endpoint(EndpointName=ENDPOINT, EndpointConfigName=CONFIG)
    early = function(in_service())
    assert early.result == {"checked": ENDPOINT, "passed": True}, early
    end = time.monotonic() + 30
    while not (found := accounts.arrived("events")):
        assert time.monotonic() < end, "no event came"
    yield found
    # Other tests begin with an endpoint that nobody has made.
    accounts.cloud.client("sagemaker").delete_endpoint(EndpointName=ENDPOINT)
    s3 = accounts.cloud.client("s3")
    for each in s3.list_objects_v2(Bucket=BUCKET, Prefix="endpoints/")["Contents"]:
        s3.delete_object(Bucket=BUCKET, Key=each["Key"])
    while accounts.cloud.client("sagemaker").list_endpoints()["Endpoints"]:
        assert time.monotonic() < end + 60, "the endpoint stays"


@pytest.fixture
def world(began: list[Any], accounts: World, slack_server: Slack) -> World:
    """The endpoint serves; nothing was told or asked yet."""
    accounts.told()
    accounts.control("DELETE", "faults")
    accounts.control("DELETE", "calls")
    slack_server.posts.clear()
    slack_server.reached.clear()
    slack_server.faults.clear()
    return accounts


def in_service(endpoint: str = ENDPOINT, status: str = "IN_SERVICE", **changed: Any) -> dict[str, Any]:
    """SageMaker's event, in the form of its documentation."""
    arn = f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:endpoint/{endpoint}"
    return {
        "version": "0", "id": "d2921b5a-b0ad-cace-a8e3-0f159d018e06", "detail-type": "SageMaker Endpoint State Change",
        "source": "aws.sagemaker", "account": ACCOUNT, "time": "1583831889050", "region": "eu-west-1",
        "resources": [arn],
        "detail": {
            "EndpointName": endpoint, "EndpointArn": arn, "EndpointConfigName": CONFIG,
            "ProductionVariants": [{"DesiredWeight": 1.0, "DesiredInstanceCount": 1.0}], "EndpointStatus": status,
            "CreationTime": 1592411992203.0, "LastModifiedTime": 1592411994287.0, "Tags": {},
        },
        **changed,
    }  # fmt: skip


DEPLOYED = "SageMaker Endpoint Deployment State Change"


def test_an_endpoint_is_checked_once_however_many_events_tell_of_it(
    function: Any, world: World, slack_server: Slack, began: list[Any]
) -> None:
    world.hold(RIGHT, load={"M": LOAD})

    answers = [function(each) for each in [in_service(), *began, in_service(**{"detail-type": DEPLOYED}), in_service()]]

    assert [answer.error for answer in answers] == [None] * len(answers)
    assert {str(answer.result) for answer in answers} == {str({"checked": ENDPOINT, "passed": True})}
    assert world.asked() == 2 + 1 + 2  # the contract, and the load with the request that opens the connection
    ((subject, message),) = world.told()
    assert subject == "churn-prod: checked"
    assert message.startswith("churn-prod answers all 2 requests as agreed; under load 2 requests at 20/s")
    ((path, text),) = slack_server.posts
    assert (path, slack_server.reached) == ("/services/T0/B0/notToBeLogged", ["hooks.slack.com:443"])
    assert text == f":white_check_mark: {message}"
    result = world.result()
    assert (result["passed"], sorted(result["told"]["SS"])) == ({"BOOL": True}, ["slack", "sns"])
    assert result["of"]["S"].startswith(f"{CONFIG} 20") and result["said"]["S"] == message


def test_an_endpoint_that_breaks_its_contract_is_told_of_without_a_mention(
    function: Any, world: World, slack_server: Slack
) -> None:
    world.hold(WRONG)

    answer = function(in_service())

    ((subject, message),), ((_, text),) = world.told(), slack_server.posts
    assert (answer.result, answer.error) == ({"checked": ENDPOINT, "passed": False}, None)
    assert subject == "churn-prod: checks failed"
    assert message.startswith('churn-prod breaks tests/contract.yaml: one: label: "no" expected, got "<!channel> & yes')
    assert "two: label" in message
    assert text.startswith(":x: ") and "&lt;!channel&gt; &amp; yes" in text and "<" not in text
    assert world.result()["passed"] == {"BOOL": False}


OTHERS = {
    "updating": in_service(status="UPDATING"),
    "another endpoint": in_service("fraud-prod"),
    "not there": in_service("churn-prod-challenger"),
    "another kind": in_service(**{"detail-type": "SageMaker Model State Change"}),
    "another source": in_service(source="my.app"),
    "no detail": in_service(detail=None),
    "name is a list": in_service(detail={"EndpointName": [ENDPOINT], "EndpointStatus": "IN_SERVICE"}),
    "no status": in_service(detail={"EndpointName": ENDPOINT}),
    "empty": {},
    "a list": [1],
    "nothing": None,
}


def test_any_other_event_ends_with_a_line_in_the_log(function: Any, world: World) -> None:
    # The role may not look at an endpoint that it does not check, so that one is there for none of them.
    for name, given in OTHERS.items():
        answer = function(given)
        if name == "not there":
            assert answer.error is not None and "not authorized to perform: sagemaker:DescribeEndpoint" in answer.error
            continue
        (line,) = [json.loads(each) for each in answer.log.splitlines() if each.startswith("{")]
        assert (answer.result, answer.error) == ({"checked": None}, None), name
        assert line["message"] == "ignored" and line["why"]
    assert world.asked() == 0


def test_what_nobody_knows_the_checks_of_is_told_once(function: Any, world: World) -> None:
    world.hold(RIGHT, config="churn-prod-v6-01234567")

    answers = [function(in_service()) for _ in range(2)]

    assert [answer.result["passed"] for answer in answers] == [None, None]
    said = f"churn-prod serves {CONFIG} and was not checked: mlops deploy writes what it is held to"
    assert world.told() == [("churn-prod: not checked", said)]
    assert world.asked() == 0


@pytest.mark.parametrize(
    ("text", "entry", "said"),
    [
        (b"requests: []", {}, "there is no version|version is None"),
        (RIGHT, {"sha256": {"S": "0" * 64}}, "SHA-256 is"),
        (RIGHT, {"load": {"M": {**LOAD, "rate": {"N": "-1"}}}}, "load.rate"),
    ],
    ids=["no contract", "another contract", "no load"],
)
def test_what_it_is_held_to_has_to_be_what_was_deployed(
    function: Any, world: World, text: bytes, entry: dict[str, Any], said: str
) -> None:
    world.hold(text, **entry)

    answer = function(in_service())

    ((subject, message),) = world.told()
    assert (answer.result["passed"], subject) == (None, "churn-prod: not checked")
    assert any(each in message for each in said.split("|"))
    assert world.asked() == 0


def test_what_aws_refuses_is_an_error_and_the_next_try_checks(function: Any, world: World) -> None:
    world.hold(RIGHT)
    world.control("POST", "faults", {"operation": "InvokeEndpoint", "status": 400, "code": "ValidationError"})

    first, second = function(in_service()), function(in_service())

    assert first.error is not None and "InvokeEndpoint churn-prod: ValidationError" in first.error
    assert second.result == {"checked": ENDPOINT, "passed": True}
    assert len(world.told()) == 1


@pytest.mark.parametrize("known", [False, True], ids=["checks", "tells"])
def test_while_one_checks_or_tells_another_does_not_and_one_that_was_ended_is_not_waited_for(
    function: Any, world: World, known: bool
) -> None:
    world.hold(RIGHT)
    assert function(in_service()).result["passed"]
    before = world.line()
    if known:
        del before["result"]["M"]["told"]
    else:
        del before["result"]
    world.told()

    answers = []
    for until in (int(time.time()) + 600, int(time.time()) - 1):
        claimed = {**before, "until": {"N": str(until)}}
        world.cloud.client("dynamodb").put_item(TableName=TABLE, Item=claimed)
        answers.append((function(in_service()).result, len(world.told())))

    assert answers == [({"checked": None}, 0), ({"checked": ENDPOINT, "passed": True}, 1)]
    assert world.asked() == 2 + (0 if known else 2)


@pytest.mark.parametrize("status", [404, 302])
def test_when_slack_refuses_the_next_try_tells_slack_alone(
    function: Any, world: World, slack_server: Slack, status: int
) -> None:
    world.hold(RIGHT)
    slack_server.faults.append(status)

    first, second, third = (function(in_service()) for _ in range(3))

    assert first.error == f"Refused: Slack answers {status} ok"
    assert (second.error, third.error) == (None, None)
    assert (len(world.told()), len(slack_server.posts), world.asked()) == (1, 1, 2)
    assert set(slack_server.reached) == {"hooks.slack.com:443"}
    assert "notToBeLogged" not in first.log + second.log + third.log


NO_WEBHOOKS = [
    "http://hooks.slack.com/services/secret",
    "https://hooks.slack.com.example.com/services/secret",
    "https://hooks.slack.com@example.com/services/secret",
    "https://hooks.slack.com:444/services/secret",
    "https://hooks.slack.com/services/secret\r\nHost: example.com",
    "xoxb-secret",
]


def test_nothing_is_sent_to_what_is_no_webhook_of_slack(function: Any, world: World, slack_server: Slack) -> None:
    world.hold(RIGHT)
    manager = world.cloud.client("secretsmanager")
    try:
        for secret in NO_WEBHOOKS:
            manager.put_secret_value(SecretId=SECRET, SecretString=secret)
            answer = function(in_service())
            assert answer.error is not None and answer.error.startswith("Refused: the secret of Slack's webhook does")
            assert "services/secret" not in answer.log and "xoxb" not in answer.log
    finally:
        manager.put_secret_value(SecretId=SECRET, SecretString=WEBHOOK)

    assert slack_server.reached == []


def test_every_right_of_the_function_is_used(function: Any, world: World, rights_of_checks: Any) -> None:
    world.hold(RIGHT)
    assert function(in_service()).result["passed"]

    calls = [each for each in world.control("GET", "calls") if ":assumed-role/churn-prod-checks/" in each["principal"]]
    used = {(f"{each['service']}:{each['operation']}", each["resource"]) for each in calls}
    unused = {
        (action, resource)
        for action, resource in rights_of_checks(ACCOUNT, "churn-prod", [ENDPOINT])
        if not any(name == action and fnmatch.fnmatch(arn, resource) for name, arn in used)
    }
    assert unused == set()
    assert all(each["allowed"] for each in calls)
