"""Adoption: a model that an endpoint of plain boto3 serves becomes a version that goes through the usual doors."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mlops import storage
from mlops.compute import reproduce
from mlops.contest import succession, switch
from mlops.errors import BadInput, Failure, NotApproved, NotFound
from mlops.hosting import deployment
from mlops.registry import adoption, approval, history, packages, promotion, prune, registration, status
from mlops.registry.adoption import Adopted
from mlops.reporting import markdown, report
from mlops.settings.criteria import Comparison
from mlops.settings.project import Environment
from mlops.settings.serving import AllAtOnce

VARIABLES = {"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code", "LEVEL": "3"}
COMPARISON = Comparison.model_validate(
    {"positive": "yes", "resamples": 400, "metrics": [{"metric": "roc_auc", "may_lose": 0.02}]}
)


class Legacy:
    """What somebody has made by hand in an environment's account, years ago."""

    def __init__(self, world: Any, environment: Environment) -> None:
        self.world, self.environment = world, environment
        self.client = world.client(environment)
        model = world.model("first")
        self.artefact, self.image, self.digest = (
            f"s3://{environment.bucket}/models/old.tar.gz",
            model.image,
            model.digest,
        )
        storage.write(
            world.session(environment), self.artefact, storage.read(world.session(world.feature), model.artefact)
        )

    def model(self, name: str, **container: Any) -> None:
        """A model of the old artefact."""
        given = {"Image": self.image, "ModelDataUrl": self.artefact, "Environment": VARIABLES, **container}
        self.client.create_model(
            ModelName=name, PrimaryContainer=given, ExecutionRoleArn=self.environment.execution_role
        )

    def endpoint(self, name: str, *variants: str) -> None:
        """An endpoint that serves models, each by a variant of its name."""
        each = {"InstanceType": "ml.m5.large", "InitialInstanceCount": 1, "InitialVariantWeight": 1.0}
        self.client.create_endpoint_config(
            EndpointConfigName=f"{name}-config",
            ProductionVariants=[{"VariantName": model, "ModelName": model, **each} for model in variants],
        )
        self.client.create_endpoint(EndpointName=name, EndpointConfigName=f"{name}-config")
        self.client.get_waiter("endpoint_in_service").wait(
            EndpointName=name, WaiterConfig={"Delay": 0, "MaxAttempts": 10000}
        )


def at_once(environment: Environment) -> Environment:
    """The environment with a rollout that a test need not wait for."""
    assert environment.endpoint is not None
    endpoint = environment.endpoint.model_copy(update={"rollout": AllAtOnce(bake_seconds=0)})
    return environment.model_copy(update={"endpoint": endpoint})


@pytest.fixture
def prod(world: Any) -> Environment:
    """Production with an endpoint `old`, made by hand."""
    legacy = Legacy(world, world.prod)
    legacy.model("by-hand")
    legacy.endpoint("old", "by-hand")
    return at_once(world.prod)


def adopted(world: Any, environment: Environment, endpoint: str = "old") -> Adopted:
    return adoption.adopt(world.settings, environment, endpoint, "mira", "serves since 2019", world.progress)


def mlops(world: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `mlops` as a shell would."""
    return subprocess.run(
        [sys.executable, "-m", "mlops", *arguments],
        cwd=world.settings.root,
        env={**os.environ, "PYTHONPATH": str(Path(adoption.__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.slow
def test_an_adopted_model_waits_serves_and_is_gone_back_to(world: Any, prod: Environment) -> None:
    given = ["adopt", "--endpoint", "old", "--env", "prod", "--by", "mira", "--reason", "serves since 2019"]
    done = mlops(world, *given, "--json")
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)
    assert (first["version"], first["status"], first["changed"]) == (1, "PendingManualApproval", True)
    again = adopted(world, prod)
    assert (again.package, again.changed, again.fingerprint) == (first["package"], False, first["fingerprint"])

    package = packages.describe(world.session(prod), first["package"])
    digest = world.model("first").digest
    assert package.artefact == f"s3://{prod.bucket}/models/{package.fingerprint}/{digest}/model.tar.gz"
    assert (world.digest(package), package.digest, package.commit) == (digest, digest, "")
    assert (package.variables, package.is_adopted) == (VARIABLES, True)
    assert package.metadata["adopted_from"].endswith(":endpoint/old")
    assert package.metadata["adopted_model"].endswith(":model/by-hand")
    assert (package.metadata["adopted_by"], package.metadata["adopted_why"]) == ("mira", "serves since 2019")

    with pytest.raises(NotApproved, match="churn-prod version 1 waits for approval"):
        deployment.deploy(world.settings, prod, world.progress)
    approval.approve(world.settings, prod, by="ines", why="known for years")
    deployment.deploy(world.settings, prod, world.progress)
    assert world.answer(prod) == "first"
    world.approved("second")
    deployment.deploy(world.settings, prod, world.progress)
    assert world.answer(prod) == "second"
    back = deployment.rollback(world.settings, prod, world.progress)
    assert (back.version, world.answer(prod)) == (1, "first")
    assert world.client(prod).describe_endpoint(EndpointName="old")["EndpointStatus"] == "InService"


def test_what_looks_at_versions_takes_one_without_commit_metrics_and_predictions(world: Any, prod: Environment) -> None:
    found = adopted(world, prod)
    approval.approve(world.settings, prod, by="ines", why="known for years")
    package = packages.describe(world.session(prod), found.package)

    events = [(each.what, each.who, each.why) for each in history.history(world.settings) if each.group == "churn-prod"]
    assert events[0] == ("adopted", "mira", "from old: serves since 2019")
    assert events[1][:2] == ("approved", "ines")
    rows = {row.group: row for row in status.status(world.settings)}
    assert (rows["churn-prod"].version, rows["churn-prod"].fingerprint) == (1, found.fingerprint)
    assert [
        each for each in prune.prune(world.settings, world.progress, act=False) if found.fingerprint in each.name
    ] == []
    with pytest.raises(BadInput, match="was adopted from an endpoint: no commit of this repository made it"):
        reproduce.reproduce(world.settings, found.package, world.progress)

    ours = world.register("second")
    serves = report.served(world.session(world.prod), world.settings, world.dev, world.prod, None)
    assert serves.package == package
    lineage = world.lineage(ours.fingerprint)
    shown = report.Report("churn", "feature", lineage, ours, "", "", report.metrics_of(ours), [], [serves])
    text = markdown.markdown(shown)
    assert "prod v1" in text
    assert "| roc_auc | 0.9900 (0.9800 to 1.0000) | - |" in text


def test_the_gate_says_that_there_is_nothing_to_compare_an_adopted_model_by(world: Any, prod: Environment) -> None:
    adopted(world, prod)
    approval.approve(world.settings, prod, by="ines", why="known for years")
    team = world.settings.model_copy(update={"comparison": COMPARISON})
    lineage = world.lineage()
    place = f"s3://{world.feature.bucket}/jobs/{lineage.fingerprint}/report/"
    rows = "".join(f"r{n},{'yes' if n % 2 else 'no'},{0.9 if n % 2 else 0.1}\n" for n in range(20))
    storage.write(world.session(world.feature), f"{place}predictions.csv", f"row,label,probability\n{rows}".encode())
    model = dataclasses.replace(world.model("second"), report=place)
    registration.register(team, world.feature, model, lineage, "", "somebody")
    (dev,) = promotion.promote(team, world.dev, lineage.fingerprint)
    world.verified(dev)

    (package,) = promotion.promote(team, world.prod, lineage.fingerprint, world.progress)

    serves = "churn-prod version 1"
    said = f"{serves} - not compared with {serves}: it was adopted without predictions on a test set"
    assert package.metadata["gate_against"] == said
    assert package.metadata["gate"] == "passed"


@pytest.mark.slow
def test_an_adopted_model_becomes_champion_by_having_served_as_challenger(advanced: Any) -> None:
    legacy = Legacy(advanced, advanced.prod)
    legacy.model("by-hand")
    legacy.endpoint("old", "by-hand")
    challenger = advanced.prod.contender("challenger")
    champion = advanced.prod.contender("champion")
    other = adopted(advanced, challenger)
    approval.approve(advanced.settings, challenger, by="ines", why="known for years")
    own = adopted(advanced, champion)
    assert (other.group, own.group) == ("churn-prod-challenger", "churn-prod-champion")
    with pytest.raises(NotApproved, match="churn-prod-challenger version 1 has not served"):
        approval.approve(advanced.settings, champion, by="ines", why="known for years")

    deployment.deploy(advanced.settings, challenger, advanced.progress)
    approval.approve(advanced.settings, champion, by="ines", why="known for years")
    assert succession.succeed(advanced.settings_with(at_once(champion)), advanced.progress).version == 1

    found = deployment.deploy(advanced.settings, at_once(champion), advanced.progress)
    assert (found.version, advanced.answer(champion)) == (1, "first")
    session = advanced.session(advanced.prod)
    source = packages.describe(session, other.package)
    carried = switch.carried(session, champion, source)
    assert (carried.version, carried.variables, carried.status) == (2, VARIABLES, "Approved")


def test_a_copy_of_an_adopted_version_keeps_its_variables_and_the_gate_its_limits(
    world: Any, prod: Environment
) -> None:
    source = packages.describe(world.session(prod), adopted(world, prod).package)
    session = world.session(world.prod)

    way = "churn-prod version 1 was adopted, so nothing was measured: mlops adopt --endpoint old --env prod --by NAME"
    with pytest.raises(Failure, match=rf"gate refuses this model: roc_auc is missing, at least 0\.95 .*; {way}"):
        promotion.copied(session, world.settings, world.prod, dataclasses.replace(source, fingerprint="0" * 64), print)
    free = world.settings.model_copy(update={"gate": ()})
    copy = promotion.copied(session, free, world.prod, dataclasses.replace(source, fingerprint="0" * 64), print)

    assert (copy.variables, copy.commit, copy.fingerprint) == (VARIABLES, "", "0" * 64)


def test_code_beside_the_artefact_comes_along(world: Any) -> None:
    legacy = Legacy(world, world.prod)
    place = f"s3://{world.prod.bucket}/models/sourcedir.tar.gz"
    storage.write(world.session(world.prod), place, b"code")
    variables = {**VARIABLES, adoption.CODE: place}
    session, env = world.session(world.prod), world.prod
    origin = adoption.Origin("arn:x:endpoint/old", "c", "arn:x:model/m", legacy.image, legacy.artefact, variables)
    code = adoption.code_of(session, env, origin)

    found = adoption.copied(session, env, origin, "f" * 64, legacy.digest, code)

    assert found.variables[adoption.CODE] == f"s3://{env.bucket}/models/{'f' * 64}/{legacy.digest}/sourcedir.tar.gz"
    assert storage.read(session, found.variables[adoption.CODE]) == b"code"
    assert adoption.fingerprint_of(legacy.digest, origin, code) != adoption.fingerprint_of(legacy.digest, origin, "0")


def test_what_can_not_be_adopted_is_said_in_one_line(world: Any) -> None:
    legacy = Legacy(world, world.prod)
    legacy.model("one")
    legacy.model("other")
    legacy.endpoint("two", "one", "other")

    with pytest.raises(NotFound, match=r"--endpoint is none; there is none in account 222222222222, eu-west-1"):
        adopted(world, world.prod, "none")
    with pytest.raises(BadInput, match="--endpoint is two, which has the production variants one, other; give one"):
        adopted(world, world.prod, "two")
    with pytest.raises(BadInput, match="--env is feature, which serves nothing"):
        adopted(world, world.feature)
    with pytest.raises(BadInput, match="--by is empty"):
        adoption.adopt(world.settings, world.prod, "two", " ", "why")
    with pytest.raises(Failure, match=r"AccessDenied.*its owner has to let account 222222222222 read it") as told:
        adoption.read(world.session(world.prod), world.prod, world.model("first").artefact)
    assert "\n" not in str(told.value)
    with pytest.raises(BadInput, match="the model pipeline has 2 containers; a model of one container can be adopted"):
        adoption.one([{}, {}], "pipeline")
    with pytest.raises(BadInput, match="the model many is a container of several models"):
        adoption.one([{"Mode": "MultiModel"}], "many")
    with pytest.raises(BadInput, match=r"the model m has no artefact; one with an image and a \.tar\.gz"):
        adoption.artefact_of({"Image": legacy.image}, "m")
    own = world.in_dev("second")
    with pytest.raises(BadInput, match="is in the registry already: there is nothing to adopt"):
        adoption.of_package(world.session(world.dev), world.dev, own.arn, {})
    assert packages.listing(world.session(world.prod), "churn-prod") == []


def test_a_model_of_another_registry_is_read_through_its_package(world: Any) -> None:
    package = world.in_dev("second")

    container = adoption.of_package(world.session(world.dev), world.feature, package.arn, {"Environment": {"A": "1"}})

    assert (container["Image"], container["ModelDataUrl"]) == (package.image, package.artefact)
    assert container["Environment"] == package.variables
