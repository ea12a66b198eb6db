"""The report on a commit's model says what it measures, what serves, and what has changed between them."""

import dataclasses
import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace

import boto3
import pytest
from botocore.stub import Stubber

from mlops import aws
from mlops.compute import durations
from mlops.quality import verdicts
from mlops.quality.judgements import Judgement
from mlops.registry import lineage
from mlops.reporting import markdown, report
from mlops.settings.compute import Prices


def cells(text, first):
    """The cells of the row of a table that begins with a word."""
    row = next(line for line in text.splitlines() if line.startswith(f"| {first} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.fixture
def reported(project):
    """The report on HEAD, as Markdown."""

    def markdown_of(environment="feature"):
        return markdown.markdown(report.report(project, project.environment(environment)))

    return markdown_of


def test_metrics_stand_beside_those_of_what_serves(register, reported):
    register("feature", **{"metric.roc_auc": "0.98", "metric.roc_auc.low": "0.97", "metric.roc_auc.high": "0.99"})
    serving = register("dev", other=True, **{"metric.roc_auc": "0.96"})

    text = reported()

    assert cells(text, "metric") == ["metric", "this model", f"dev v{serving.version}", "gate"]
    assert cells(text, "roc_auc")[1:] == ["0.9800 (0.9700 to 0.9900)", "0.9600 (+0.0200)", "at least 0.95: passed"]


def test_a_model_is_not_held_against_itself(register, reported):
    register("feature", **{"metric.roc_auc": "0.98"})
    serving = register("dev", **{"metric.roc_auc": "0.98"})

    text = reported()

    assert cells(text, "metric") == ["metric", "this model", "gate"]
    assert f"dev v{serving.version} is this model." in text
    assert "are those of dev" not in text


def test_brackets_are_explained_where_there_are_some(register, reported):
    register("feature", **{"metric.roc_auc": "0.98"})
    alone = reported()
    register("dev", other=True, **{"metric.roc_auc": "0.96"})

    assert "In brackets" not in alone
    assert "In brackets: of another one what this model's value is above it." in reported()


def test_what_waits_for_approval_does_not_serve(register, reported):
    register("feature")
    register("dev", status="PendingManualApproval", other=True)

    assert "dev: nothing serves yet." in reported()


def test_in_its_own_environment_a_model_is_held_against_the_one_before(register, reported):
    before = register("dev", other=True, **{"metric.roc_auc": "0.97"})
    register("dev", **{"metric.roc_auc": "0.98"})

    text = reported("dev")

    assert cells(text, "metric")[2] == f"dev v{before.version}"
    assert cells(text, "roc_auc")[2] == "0.9700 (+0.0100)"


def test_parameters_and_data_that_changed_are_named_and_no_others(register, reported):
    register("feature")
    register("dev", other=True, **{"parameter.train.C": "0.5", "dataset": "b" * 32})

    text = reported()

    assert cells(text, "`train.C`")[1:] == ["`1.0`", "`0.5`"]
    assert cells(text, "data")[1:] == ["`aaaaaaaaaaaa`", "`bbbbbbbbbbbb`"]
    assert "max_iter" not in text


def test_nothing_changed_is_said(register, reported):
    register("feature")
    serving = register("dev", other=True)

    assert f"Parameters and data are those of dev v{serving.version}." in reported()


def test_another_accounts_group_is_read_where_its_policy_allows_it(register, reported, project, administrator):
    register("feature")
    prod = project.environment("prod")
    serving = register("prod", other=True, **{"metric.roc_auc": "0.9"})
    owner = administrator(prod, "sagemaker")
    group = owner.describe_model_package_group(ModelPackageGroupName=prod.group)["ModelPackageGroupArn"]
    statement = {
        "Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::111111111111:root"},
        "Action": ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"],
        "Resource": [f"{group.replace('-group/', '/')}/*", group],
    }  # fmt: skip

    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    owner.put_model_package_group_policy(ModelPackageGroupName=prod.group, ResourcePolicy=policy)
    allowed = reported()
    owner.delete_model_package_group_policy(ModelPackageGroupName=prod.group)
    refused = reported()

    assert cells(allowed, "metric")[2] == f"prod v{serving.version}"
    assert cells(allowed, "roc_auc")[2] == "0.9000 (+0.0900)"
    assert "prod: cannot be read from feature" in refused


def test_a_later_environment_asks_for_no_group_that_its_role_does_not_read(register, reported):
    register("feature")
    register("dev")

    text = reported("dev")

    assert "nothing else has served" in text
    assert "prod" not in text


def test_a_model_that_another_run_made_was_not_trained_again(register, reported, github):
    register("feature", run_url="https://github.com/team/churn/actions/runs/12")

    assert "Nothing was trained: this model was made by https://github.com/team/churn/actions/runs/12" in reported()


def test_a_model_that_this_run_made_was(register, reported, github):
    register("feature", run_url="https://github.com/team/churn/actions/runs/77")

    assert "Nothing was trained" not in reported()


def test_a_commit_that_nobody_trained_says_so(register, reported):
    assert re.search(r"\*\*Not registered\.\*\* Nobody has trained it yet", reported())


def test_a_model_that_has_not_come_to_an_environment_says_what_is_before(register, reported):
    register("feature")

    assert "It is not in dev: it has to pass feature first" in reported("dev")


@pytest.fixture
def found(project):
    """A report as it might be gathered, for what only its Markdown decides."""
    return report.Report("churn", "feature", lineage.of(project), None, "", "", {}, [], [])


def test_what_the_gate_refuses_is_marked(found, project):
    metrics = {"roc_auc": report.Metric(0.9, None, None)}
    gate = report.thresholds.verdicts(metrics, project.gate)

    text = markdown.markdown(dataclasses.replace(found, metrics=metrics, gate=gate))

    assert cells(text, "roc_auc")[-1] == "at least 0.95: **refused**"


def test_what_was_compared_with_the_model_that_serves_stands_with_its_intervals(found):
    judged = [
        Judgement("recall", "size=small", 90, 0.05, "worse", 0.7, 0.9, -0.2, -0.3, -0.1),
        Judgement("recall", "size=tiny", 9, 0.05, "too few rows"),
    ]
    decision = verdicts.Decision([], "churn-dev version 4", judgements=judged, rows=171, common=170, confidence=0.95)

    text = markdown.markdown(dataclasses.replace(found, decision=json.loads(verdicts.document(decision))))

    assert "Against churn-dev version 4 on 170 of the 171 rows" in text
    assert cells(text, "recall of size=small")[1:] == [
        "0.7000",
        "0.9000",
        "-0.2000 (-0.3000 to -0.1000)",
        "-0.05",
        "**worse: refused**",
    ]
    assert cells(text, "recall of size=tiny")[-1] == "too few rows"


def test_that_nothing_was_compared_is_said(found):
    decision = json.loads(verdicts.document(verdicts.Decision([], note="nothing serves in dev yet")))

    assert "Gate: nothing serves in dev yet." in markdown.markdown(dataclasses.replace(found, decision=decision))


def test_the_verdict_on_a_registered_model_is_said_to_be_of_its_time(found, register):
    decision = json.loads(verdicts.document(verdicts.Decision([], note="nothing serves in dev yet")))
    registered = dataclasses.replace(found, decision=decision, package=register("feature"))

    assert "Gate, when it last judged this model: nothing serves in dev yet." in markdown.markdown(registered)


TRAINED = {
    "TrainingJobName": "churn-train-1",
    "TrainingJobArn": "arn:aws:sagemaker:eu-west-1:111111111111:training-job/churn-train-1",
    "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/model.tar.gz"},
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 2, "VolumeSizeInGB": 30},
    "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
    "CreationTime": datetime(2026, 11, 2, tzinfo=UTC),
    "EnableManagedSpotTraining": True,
    "TrainingTimeInSeconds": 5400,
    "BillableTimeInSeconds": 1800,
}
EVALUATED = {
    "ProcessingJobName": "churn-evaluate-1",
    "ProcessingJobArn": "arn:aws:sagemaker:eu-west-1:111111111111:processing-job/churn-evaluate-1",
    "ProcessingResources": {"ClusterConfig": {"InstanceType": "ml.t3.large", "InstanceCount": 1, "VolumeSizeInGB": 30}},
    "AppSpecification": {"ImageUri": "image"},
    "ProcessingJobStatus": "Completed",
    "CreationTime": datetime(2026, 11, 2, tzinfo=UTC),
    "ProcessingStartTime": datetime(2026, 11, 2, 12, 0, tzinfo=UTC),
    "ProcessingEndTime": datetime(2026, 11, 2, 12, 6, tzinfo=UTC),
}


@pytest.fixture
def billed(monkeypatch):
    """The jobs of a package with some prices, as SageMaker describes them."""
    client = boto3.Session("key", "secret", region_name="eu-west-1").client("sagemaker")
    package = SimpleNamespace(
        metadata={
            "training_job": TRAINED["TrainingJobArn"],
            "processing_jobs": "churn-prepare-1 churn-evaluate-1",
            "report_uri": "s3://bucket/jobs/churn-evaluate-1/output/",
            "gate_answers": "scored anew on this test set by job churn-score-1",
        }
    )
    monkeypatch.setattr(aws, "client", lambda session, service: client)

    def of(prices):
        with Stubber(client) as stub:
            stub.add_response("describe_training_job", TRAINED)
            stub.add_response("describe_processing_job", {**EVALUATED, "ProcessingJobName": "churn-prepare-1"})
            stub.add_response("describe_processing_job", EVALUATED)
            stub.add_response("describe_processing_job", {**EVALUATED, "ProcessingJobName": "churn-score-1"})
            return durations.of(None, package, prices)

    return of


def test_jobs_are_given_in_what_is_billed_and_what_that_costs(found, billed):
    jobs = billed(Prices(currency="EUR", per_hour={"ml.m5.large": 0.5, "ml.t3.large": 0.1}))

    text = markdown.markdown(dataclasses.replace(found, jobs=jobs))

    spot = "1800 (spot saved 67%)"
    assert cells(text, "churn-train-1")[1:] == ["2 of ml.m5.large", spot, "3600", "0.5 EUR"]
    assert cells(text, "churn-prepare-1")[1:] == ["1 of ml.t3.large", "360", "360", "0.01 EUR"]
    assert cells(text, "churn-evaluate-1")[1:] == ["1 of ml.t3.large", "360", "360", "0.01 EUR"]
    assert cells(text, "churn-score-1")[-1] == "0.01 EUR"
    assert cells(text, "together")[-2:] == ["4680", "0.53 EUR"]


def test_a_cost_that_nobody_gave_a_price_for_is_not_guessed(found, billed):
    some = markdown.markdown(dataclasses.replace(found, jobs=billed(Prices(per_hour={"ml.m5.large": 2.5}))))
    none = markdown.markdown(dataclasses.replace(found, jobs=billed(None)))

    assert cells(some, "churn-train-1")[-1] == "2.50 USD"
    assert cells(some, "churn-evaluate-1")[-1] == "-"
    assert "In mlops.yaml `prices` has no price for ml.t3.large." in some
    assert cells(some, "together")[-1] == "2.50 USD, and what has no price"
    assert cells(none, "churn-train-1")[-1] == "-"
    assert none.count("no price for ml.m5.large, ml.t3.large.") == 1
    assert cells(none, "together")[-1] == "-"


def test_what_others_wrote_calls_nobody_and_breaks_no_table(found, register, reported):
    register("feature")
    register("dev", other=True, **{"parameter.train.C": "a b"})
    hostile = dataclasses.replace(found, why_not="ask @everyone <img src=x>")

    text = markdown.markdown(hostile)

    assert "@everyone" not in text
    assert "<img" not in text


def test_the_report_is_the_comment_of_the_branches_pull_request(github):
    comments = "/repos/team/churn/issues/5/comments"
    github.answers["GET", "/repos/team/churn/pulls"] = [{"number": 5, "head": {"ref": "feature/deeper"}}]
    github.answers["GET", comments] = []
    github.answers["POST", comments] = {"id": 3, "html_url": "https://github.com/comment/3"}

    assert report.publish("text") == ["https://github.com/comment/3"]
    assert ("POST", comments, {"body": f"{report.MARKER}\ntext"}) in github.asked


def test_without_a_token_nothing_is_written(github, monkeypatch):
    monkeypatch.delenv("GITHUB_TOKEN")

    assert report.publish("text") == []
    assert github.asked == []


def test_a_failed_job_stands_with_its_log_and_no_line_of_it_ends_the_block(found):
    why_not = "train: job churn-1 is Failed: AlgorithmError\n  | ~~~ <b>32 rows</b>\n  | done"

    text = markdown.markdown(dataclasses.replace(found, why_not=why_not))

    assert (
        "**Not registered.** train: job churn-1 is Failed: AlgorithmError.\n\n~~~text\n~ ~ <b>32 rows</b>\ndone\n~~~"
        in text
    )
