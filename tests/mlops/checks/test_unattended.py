"""What a deployment leaves for the function that checks an endpoint, and what an endpoint is held to by it."""

import hashlib
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from mlops.checks import contract, unattended
from mlops.checks.unattended import Asked
from mlops.errors import BadInput, NotVerified
from mlops.hosting import deployment, endpoints
from mlops.registry import packages
from mlops.settings import project as settings
from mlops.settings.criteria import Load
from mlops.settings.serving import Serverless

TABLE, ENDPOINT = "churn-dev-checks", "churn-dev"
LOAD = Load(rate=2000 / 3, seconds=0.015, p95_ms=5000)


def line(world: Any) -> dict[str, Any]:
    """The endpoint's line in the table."""
    found = world.client(world.dev, "dynamodb").get_item(TableName=TABLE, Key={"endpoint": {"S": ENDPOINT}})
    return unattended.plain(found.get("Item", {}))


@pytest.fixture
def table(world: Any) -> Any:
    """The table without a line."""
    world.client(world.dev, "dynamodb").delete_item(TableName=TABLE, Key={"endpoint": {"S": ENDPOINT}})
    return world


def deployed(world: Any, **update: Any) -> str:
    """Deploy what is newest in dev; the configuration that serves then."""
    dev = world.dev.model_copy(update={"endpoint": world.dev.endpoint.model_copy(update=update)})
    deployment.deploy(world.settings_with(dev), dev, world.progress)
    found = endpoints.state(world.session(dev), ENDPOINT)
    assert found is not None
    return found.config


def left(world: Any) -> Asked:
    """What is left for what serves."""
    found = endpoints.state(world.session(world.dev), ENDPOINT)
    assert found is not None
    wanted = unattended.asked(line(world), found.config)
    assert wanted is not None
    return wanted


def checked(world: Any, wanted: Asked, seconds_left: float = 900) -> str:
    return unattended.check(world.session(world.dev), ENDPOINT, wanted, lambda: seconds_left)


def test_a_deployment_leaves_its_contract_and_load_before_it_serves(table: Any) -> None:
    table.in_dev()
    table.forget_calls()
    config = deployed(table, load=LOAD)

    calls = table.calls("UpdateItem", "CreateEndpoint")
    text = (table.settings.root / contract.FILE).read_bytes()
    place = f"s3://{table.dev.bucket}/endpoints/{ENDPOINT}/contracts/{hashlib.sha256(text).hexdigest()}.yaml"
    wanted = unattended.asked(line(table), config)
    assert list(dict.fromkeys(calls)) == ["UpdateItem", "CreateEndpoint"]
    assert calls.count("UpdateItem") == 2
    assert wanted is not None
    assert (wanted.contract, wanted.sha256, wanted.load) == (place, hashlib.sha256(text).hexdigest(), LOAD)
    assert checked(table, wanted).startswith(f"{ENDPOINT} answers all")


@pytest.mark.slow
def test_a_version_that_is_deployed_late_is_held_to_the_contract_of_its_own_commit(table: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(table.settings.root, tmp_path / "project", ignore=shutil.ignore_patterns("state")))
    agreed = (root / contract.FILE).read_bytes()
    table.committed(root, "first")
    (root / contract.FILE).write_bytes(agreed + b"# another one\n")
    second = table.committed(root, "second")
    packages.set_status(table.session(table.dev), second, "Rejected", "")

    deployment.deploy(settings.load(root), table.dev, table.progress)

    assert left(table).sha256 == hashlib.sha256(agreed).hexdigest()


def test_a_second_deployment_of_the_same_leaves_nothing_anew(table: Any) -> None:
    table.in_dev()
    deployed(table, load=LOAD)
    before = line(table)
    table.forget_calls()

    deployed(table, load=LOAD)

    assert line(table) == before
    assert table.calls("UpdateItem", "PutObject") == ["UpdateItem"]


def test_what_served_before_keeps_its_own_contract_and_old_ones_are_forgotten(
    table: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unattended, "KEPT", 2)
    session, places = table.session(table.dev), []
    for number in range(3):
        wanted = Asked(contract=f"s3://bucket/{number}", sha256="0" * 64, written=f"2026-11-0{number + 1}")
        known = unattended.begun(session, TABLE, ENDPOINT)
        unattended.write(session, TABLE, ENDPOINT, f"churn-dev-v{number}-01234567", wanted, sorted(known)[:-1])
        places.append(sorted(each["contract"] for each in line(table)["checks"].values()))
    table.in_dev()
    config = deployed(table)

    assert places == [["s3://bucket/0"], ["s3://bucket/0", "s3://bucket/1"], ["s3://bucket/1", "s3://bucket/2"]]
    assert line(table)["checks"].keys() == {"churn-dev-v2-01234567", config}


def test_where_there_is_no_table_it_is_said_and_deployed(table: Any) -> None:
    dynamodb = table.client(table.dev, "dynamodb")
    dynamodb.delete_table(TableName=TABLE)
    table.in_dev()
    try:
        deployed(table)
    finally:
        key = {"AttributeName": "endpoint"}
        dynamodb.create_table(
            TableName=TABLE, BillingMode="PAY_PER_REQUEST", KeySchema=[{**key, "KeyType": "HASH"}],
            AttributeDefinitions=[{**key, "AttributeType": "S"}],
        )  # fmt: skip

    (said,) = [each for each in table.said if "nothing checks it by itself" in each]
    assert said.startswith(f"{ENDPOINT}: nothing checks it by itself: UpdateItem {TABLE}: ResourceNotFoundException")


def test_an_endpoint_without_instances_of_which_no_event_tells_leaves_nothing(world: Any) -> None:
    dev = world.dev.model_copy(update={"endpoint": Serverless(kind="serverless")})
    package = world.in_dev()
    world.forget_calls()

    unattended.leave(world.session(dev), world.settings, dev, package, "churn-dev-v1-01234567", world.progress)

    assert world.calls() == []


def test_a_contract_that_is_another_than_was_deployed_is_not_asked(table: Any) -> None:
    table.in_dev()
    deployed(table)
    wanted = left(table).model_copy(update={"sha256": "0" * 64})
    table.forget_calls()

    with pytest.raises(BadInput, match=r"SHA-256 is .*, 0{64} was deployed with churn-dev"):
        checked(table, wanted)
    assert table.calls("InvokeEndpoint") == []


def test_requests_for_which_no_time_is_left_are_not_sent(table: Any) -> None:
    table.in_dev()
    deployed(table)
    wanted = left(table)
    table.forget_calls()

    with pytest.raises(NotVerified, match="churn-dev is too slow: 0 of"):
        checked(table, wanted, unattended.RESERVED_SECONDS - 1)
    assert table.calls("InvokeEndpoint") == []


def test_a_line_that_somebody_wrote_wrong_is_named() -> None:
    good = {"contract": "s3://bucket/key", "sha256": "0" * 64, "load": {"rate": Decimal(0), "seconds": 1, "p95_ms": 1}}

    with pytest.raises(BadInput, match=r"checks\.one\.load\.rate: give more than 0"):
        unattended.asked({"checks": {"one": good}}, "one")
    assert unattended.asked({"checks": {"one": good}}, "two") is None
    assert unattended.asked({}, "one") is None


@pytest.mark.parametrize("p95_ms", [1, 100, 2500, 20000])
def test_the_greatest_load_ends_within_the_time_that_is_kept_for_it(p95_ms: float) -> None:
    load = unattended.within(Load(rate=1000, seconds=600, p95_ms=p95_ms))
    requests = load.rate * load.seconds
    threads = min(200, requests, load.rate * max(1, 2 * p95_ms / 1000))

    # When the model hangs, SageMaker answers after a minute; each thread waits for each of its requests, and before
    # them were the last request of the contract, which is tried twice, and the one that opens the connection.
    assert (requests / threads + 3) * 60 + load.seconds < unattended.RESERVED_SECONDS
