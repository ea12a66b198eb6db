"""mlops.yaml: what is refused, with which words, and what the names are."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from mlops.compute import instances
from mlops.errors import BadInput
from mlops.settings import project as settings
from mlops.settings.project import Settings

GOOD = {
    "project": "churn",
    "package": "churn",
    "region": "eu-west-1",
    "environments": [
        {"name": "feature", "account": "111111111111"},
        {"name": "dev", "account": "111111111111", "endpoint": {}},
        {
            "name": "prod",
            "account": "222222222222",
            "approval": "manual",
            "endpoint": {"instances": 2, "rollout": {"kind": "canary", "percent": 50}},
        },
    ],
    "stages": {"prepare": {"job": "processing"}, "train": {"job": "training"}, "evaluate": {"job": "processing"}},
}


@pytest.fixture
def written(tmp_path: Path) -> Callable[[dict[str, object]], Settings]:
    """Write a settings file with some values changed, and read it; a dotted name reaches into lists and mappings."""

    def write(changes: dict[str, object]) -> Settings:
        content = yaml.safe_load(yaml.safe_dump(GOOD))
        for name, value in changes.items():
            place = content
            *way, last = name.split(".")
            for part in way:
                place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
            if value is None:
                del place[last]
            else:
                place[int(last) if isinstance(place, list) else last] = value
        (tmp_path / "mlops.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return settings.load(tmp_path)

    return write


REFUSED = [
    (
        {"environments.2.endpoint.rollout.kind": "canari"},
        "mlops.yaml: environments.prod.endpoint.rollout.kind is 'canari': give one of 'all_at_once', 'canary', ",
    ),
    ({"environments.1.account": 222}, "account is 222: a text is needed; a number is one in quotes"),
    ({"stages.train.instances": "two"}, "stages.train.instances is 'two': a whole number is needed"),
    ({"stages.train.instances": 0}, "stages.train.instances is 0: give 1 or more"),
    ({"stages.train.spot": "maybe"}, "spot is 'maybe': give true or false"),
    ({"aws": "laptop"}, "mlops.yaml: aws is 'laptop': give 'sandbox' or 'account'"),
    ({"project": "Churn"}, "mlops.yaml: project is 'Churn'"),
    ({"project": "a" * 31}, "at most 30 characters"),
    ({"project": "churn_model"}, "mlops.yaml: project is 'churn_model'"),
    ({"project": "churn\nmodel"}, "mlops.yaml: project is"),
    ({"package": "class"}, "mlops.yaml: package is 'class'"),
    ({"package": "mlops"}, "no keyword and not mlops or sandbox"),
    ({"region": "$(whoami)"}, "mlops.yaml: region is '$(whoami)'"),
    ({"region": "cn-north-1"}, "region is 'cn-north-1': is in a partition of its own"),
    ({"environments.1.groups": ["champion"]}, "environments.dev has groups"),
    ({"comparison": {"positive": "yes", "metrics": []}}, "give at least one metric"),
    ({"comparison": {"metrics": [{"metric": "recall", "may_lose": 0}]}}, "mlops.yaml: comparison.positive is missing"),
    (
        {"comparison": {"positive": "yes", "metrics": [{"metric": "recall", "may_lose": -0.1}]}},
        "mlops.yaml: comparison.metrics.0.may_lose is -0.1",
    ),
    (
        {"comparison": {"positive": "yes", "metrics": [{"metric": "cost", "may_lose": 1}]}},
        "cost is not built in: give better: higher or better: lower",
    ),
    (
        {"comparison": {"positive": "yes", "metrics": [{"metric": "brier", "better": "higher", "may_lose": 1}]}},
        "brier is better when lower: remove better",
    ),
    (
        {
            "comparison": {
                "positive": "yes",
                "confidence": 0.99,
                "resamples": 500,
                "metrics": [{"metric": "recall", "may_lose": 0}],
            }
        },
        "resamples is 500; confidence 0.99 needs 2000 or more",
    ),
    ({"environments.1.endpoint.load": {"rate": 0, "seconds": 5, "p95_ms": 500}}, "dev.endpoint.load.rate is 0"),
    ({"environments.1.endpoint.load": {"rate": 1, "seconds": 5}}, "dev.endpoint.load.p95_ms is missing"),
    ({"aws": "local"}, "'sandbox' or 'account'"),
    ({"scenario": "expert"}, "'basic' or 'advanced'"),
    ({"colour": "red"}, "mlops.yaml: colour is no setting"),
    ({"region": None}, "mlops.yaml: region is missing"),
    ({"environments.0.account": "1"}, "mlops.yaml: environments.feature.account is '1'"),
    ({"environments.2.name": "dev"}, "each name may be given once"),
    ({"environments.1.endpoint": None}, "environments.dev has no endpoint"),
    ({"environments.2.endpoint.rollout.percent": 80}, "mlops.yaml: environments.prod.endpoint.rollout.percent is 80"),
    ({"environments.2.endpoint.rollout.wait_seconds": 3601}, "rollout.wait_seconds is 3601"),
    (
        {"environments.2.endpoint.rollout": {"kind": "linear", "percent": 5}},
        "environments.prod.endpoint.rollout.percent is 5",
    ),
    (
        {"environments.2.endpoint.rollout": {"kind": "linear", "percent": 10, "wait_seconds": 1200}},
        "environments.prod.endpoint.rollout: wait_seconds 1200 in 10 steps and bake_seconds 300 are 12300 s, and a",
    ),
    (
        {"environments.2.endpoint.rollout": {"kind": "shadow", "seconds": 10800}},
        "environments.prod.endpoint.rollout: seconds 10800 and bake_seconds 300 are 11100 s, and a workflow's role",
    ),
    ({"environments.2.endpoint.rollout": {"kind": "rolling"}}, "environments.prod.endpoint.rollout"),
    ({"environments.2.endpoint.instances": 1}, "give instances: 2 or more"),
    (
        {"environments.1.endpoint.hours": {"start": "07:00", "stop": 1200}},
        'environments.dev.endpoint.hours.stop is 1200: give a time of day in quotes, such as "20:00"',
    ),
    ({"environments.1.endpoint.hours": {"start": "24:00", "stop": "20:00"}}, "endpoint.hours.start is '24:00'"),
    ({"environments.1.endpoint.hours": {"start": "07:00", "stop": "07:00"}}, 'are both "07:00": give two times'),
    (
        {"environments.1.endpoint.hours": {"start": "07:00", "stop": "20:00", "days": "Mon-Fri"}},
        "endpoint.hours.days is 'Mon-Fri'",
    ),
    (
        {"environments.1.endpoint.hours": {"start": "07:00", "stop": "20:00", "timezone": "Berlin"}},
        "'Berlin': no time zone has this name: give one such as Europe/Berlin",
    ),
    (
        {"environments.1.endpoint": {"kind": "serverless", "hours": {"start": "07:00", "stop": "20:00"}}},
        "hours is not for kind serverless: it costs nothing while it is not asked",
    ),
    ({"environments.2.endpoint.instance_type": "m5.large"}, "instance_type is 'm5.large'"),
    ({"environments.2.endpoint.alarms": [str(n) for n in range(8)]}, "at most 7 items"),
    ({"environments.2.endpoint.alarms": [{"name": "doubt", "metric": "Doubt"}]}, "alarm doubt: give above or below"),
    (
        {"environments.2.endpoint.alarms": [{"name": "errors", "metric": "Doubt", "above": 1}]},
        "alarm errors is every endpoint's already",
    ),
    # Which starts the retraining.
    (
        {"environments.2.endpoint.alarms": [{"name": "drift", "metric": "Doubt", "above": 1}]},
        "alarm drift is every endpoint's already",
    ),
    (
        {
            "scenario": "advanced",
            "environments.2.endpoint.alarms": [{"name": "challenger-errors", "metric": "Doubt", "above": 1}],
        },
        "environments.prod.endpoint.alarms: challenger-errors would have the name of an alarm of the challenger's",
    ),
    (
        {"environments.2.endpoint.rollout": {"kind": "shadow", "percent": 0}},
        "environments.prod.endpoint.rollout.percent",
    ),
    (
        {"environments.2.endpoint.rollout": {"kind": "shadow", "seconds": 14400}},
        "environments.prod.endpoint.rollout.seconds is 14400",
    ),
    ({"environments.2.endpoint.rollout": {"kind": "shadow", "agreement": 0.9}}, "captured answers: give capture"),
    (
        {
            "environments.2.endpoint.rollout": {"kind": "shadow"},
            "environments.2.endpoint.instance_type": "ml.inf1.xlarge",
        },
        "rollout shadow is not for ml.inf1.xlarge",
    ),
    *(
        (
            {
                "environments.2.endpoint.rollout": {"kind": kind, "percent": 50},
                "environments.2.endpoint.instance_type": "ml.inf1.2xlarge",
            },
            f"environments.prod.endpoint: rollout {kind} is not for ml.inf1.2xlarge, where SageMaker shifts all at",
        )
        for kind in ("canary", "linear")
    ),
    ({"environments.1.name": "challenger"}, "environments.challenger.name is challenger, which means a model group"),
    ({"environments.1.name": "champion"}, "environments.champion.name is champion, which means a model group"),
    ({"environments.2.endpoint.alarms": ["costs", "costs"]}, "each name may be given once"),
    (
        {"environments.2.endpoint.alarms": [{"name": "doubt", "metric": "D", "below": 1, "seconds": 90}]},
        "environments.prod.endpoint.alarms.doubt.seconds is 90",
    ),
    (
        {"environments.2.endpoint.alarms": [{"name": "d", "metric": "D", "below": 1, "seconds": 3600, "periods": 30}]},
        "CloudWatch looks back at most 86400 s",
    ),
    (
        {"environments.2.endpoint": {"kind": "async"}},
        "mlops.yaml: environments.prod.endpoint: kind is none of real_time, serverless, batch: give one of them",
    ),
    (
        {"environments.1.endpoint": {"kind": "serverless", "instances": 2}},
        "mlops.yaml: environments.dev.endpoint: instances is not for kind serverless: it has none, give "
        "max_concurrency; remove instances",
    ),
    (
        {"environments.1.endpoint": {"kind": "serverless", "capture": {"percent": 100}}},
        "capture is not for kind serverless: SageMaker captures nothing there; remove capture",
    ),
    (
        {"environments.1.endpoint": {"kind": "serverless", "rollout": {"kind": "canary", "percent": 50}}},
        "mlops.yaml: environments.dev.endpoint: rollout.kind is 'canary', which shifts a share of the instances",
    ),
    ({"environments.1.endpoint": {"kind": "serverless", "memory_mb": 512}}, "dev.endpoint.memory_mb is 512"),
    ({"environments.1.endpoint": {"kind": "serverless", "memory_mb": 7168}}, "dev.endpoint.memory_mb is 7168"),
    ({"environments.1.endpoint": {"kind": "serverless", "memory_mb": 1536}}, "1024 to 6144 in steps of 1024"),
    ({"environments.1.endpoint": {"kind": "serverless", "max_concurrency": 201}}, "endpoint.max_concurrency is 201"),
    (
        {"environments.1.endpoint": {"kind": "serverless", "max_concurrency": 5, "provisioned_concurrency": 6}},
        "provisioned_concurrency is 6, above max_concurrency 5",
    ),
    (
        {
            "environments.1.endpoint": {"kind": "serverless"},
            "network": {"subnets": ["subnet-0a"], "security_groups": ["sg-0a"]},
        },
        "mlops.yaml: environments.dev.endpoint.kind is serverless, which SageMaker puts into no network",
    ),
    (
        {"environments.1.endpoint": {"kind": "batch", "rollout": {"kind": "all_at_once"}}},
        "mlops.yaml: environments.dev.endpoint: rollout is not for kind batch: there is no endpoint; remove rollout",
    ),
    ({"environments.1.endpoint": {"kind": "batch", "payload_mb": 101}}, "dev.endpoint.payload_mb is 101"),
    ({"environments.1.endpoint": {"kind": "batch", "payload_mb": 30, "concurrent": 4}}, "is over 100 MB"),
    (
        {"environments.2.endpoint": {"kind": "batch"}, "scenario": "advanced"},
        "mlops.yaml: environments.prod.endpoint.kind is batch; the advanced scenario compares what endpoints answer",
    ),
    (
        {
            "scenario": "advanced",
            "environments.2.challenger": {"endpoint": {"kind": "serverless"}},
            "network": {"subnets": ["subnet-0a"], "security_groups": ["sg-0a"]},
        },
        "environments.prod.challenger.endpoint.kind is serverless",
    ),
    (
        {"environments.1.endpoint.autoscaling": {"min": 3, "max": 2, "invocations_per_instance": 9}},
        "dev.endpoint.autoscaling: min is 3, above max 2",
    ),
    (
        {"environments.1.endpoint.autoscaling": {"min": 2, "max": 4, "invocations_per_instance": 9}},
        "dev.endpoint: instances is 1, and autoscaling goes from 2 to 4",
    ),
    (
        {"environments.2.endpoint.autoscaling": {"min": 1, "max": 4, "invocations_per_instance": 9}},
        "autoscaling.min is 1; rollout canary shifts at most half of the instances: give 2 or more",
    ),
    (
        {
            "environments.1.endpoint": {
                "rollout": {"kind": "shadow"},
                "autoscaling": {"min": 1, "max": 4, "invocations_per_instance": 9},
            }
        },
        "autoscaling is not for rollout shadow, whose steps set the number of instances: give one",
    ),
    (
        {
            "environments.1.endpoint": {
                "kind": "serverless",
                "autoscaling": {"min": 1, "max": 4, "invocations_per_instance": 9},
            }
        },
        "autoscaling is not for kind serverless: it scales by itself up to max_concurrency",
    ),
    ({"environments.2.endpoint.capture": {"percent": 101}}, "prod.endpoint.capture.percent is 101"),
    ({"environments.2.endpoint.capture": {"percent": 0}}, "prod.endpoint.capture.percent is 0"),
    ({"stages.prepare.spot": True}, "spot is for training jobs"),
    ({"prices": {"per_hour": {"m5.large": 0.1}}}, "prices.per_hour"),
    ({"prices": {"per_hour": {"ml.m5.large": 0}}}, "prices.per_hour.ml.m5.large"),
    ({"prices": {"currency": "dollars", "per_hour": {"ml.m5.large": 1}}}, "prices.currency"),
    ({"stages.train.max_wait_seconds": 60}, "max_wait_seconds 60 is less than max_runtime_seconds 3600"),
    ({"stages.train.metrics": {"auc": "("}}, "metric auc has no valid regular expression"),
    ({"image": {"uri": "repository/image:latest"}}, "mlops.yaml: image.uri is"),
    ({"gate": [{"metric": "roc_auc"}]}, "give at_least or at_most, one of them"),
    ({"gate": [{"metric": "roc_auc", "at_least": 0.9, "at_most": 1.0}]}, "give at_least or at_most, one of them"),
    ({"network": {"subnets": [], "security_groups": ["sg-0a"]}}, "mlops.yaml: network.subnets is []"),
    ({"kms_key": "my-key"}, "mlops.yaml: kms_key is 'my-key'"),
    (
        {"kms_key": "arn:aws:kms:eu-west-1:111111111111:alias/models"},
        "mlops.yaml: kms_key is 'arn:aws:kms:eu-west-1:111111111111:alias/models': is an alias, and no role's right to "
        "it is one to the key: give the key's own ARN",
    ),
    ({"environments.2.kms_key": "my-key"}, "mlops.yaml: environments.prod.kms_key is 'my-key'"),
    ({"environments.2.roles": {"deployer": "x"}}, "mlops.yaml: environments.prod.roles.deployer is no setting"),
    ({"environments.2.roles": {"deploy": "a role"}}, "mlops.yaml: environments.prod.roles.deploy is 'a role'"),
    ({"role_path": "mlops"}, "mlops.yaml: role_path is 'mlops'"),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED, ids=[str(changes) for changes, _ in REFUSED])
def test_a_value_that_is_not_allowed_is_refused_in_one_line_that_names_it(written, changes, words):
    with pytest.raises(BadInput) as refusal:
        written(changes)

    assert words in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert refusal.value.exit_code == 2


def test_all_that_is_wrong_is_said_at_once(written):
    with pytest.raises(BadInput) as refusal:
        written({"region": "x", "aws": "x", "environments.0.account": "x"})

    assert len(str(refusal.value).splitlines()) == 3


@pytest.mark.parametrize(
    "text", ["project: [", "- a list", "", "project: \x00"], ids=["broken", "list", "empty", "null byte"]
)
def test_a_file_that_holds_no_settings_is_refused(tmp_path, text):
    (tmp_path / "mlops.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(BadInput, match=r"^mlops\.yaml: "):
        settings.load(tmp_path)


def test_settings_are_found_from_a_folder_below(written, tmp_path):
    written({})
    below = tmp_path / "src" / "churn"
    below.mkdir(parents=True)

    assert settings.load(below).root == tmp_path


def test_no_settings_anywhere_says_where_it_looked(tmp_path):
    with pytest.raises(BadInput, match="run mlops in a project's folder"):
        settings.load(tmp_path)


def test_names_follow_from_the_project_and_the_environment(written):
    prod = written({}).environment("prod")

    assert prod.group_names == ["churn-prod"]
    assert prod.endpoint_name == "churn-prod"
    assert prod.bucket == "churn-prod-222222222222"
    assert prod.execution_role == "arn:aws:iam::222222222222:role/churn-prod-execution"
    assert prod.alarm_names == ["churn-prod-errors", "churn-prod-latency", "churn-prod-manual"]


def test_an_alarm_of_the_projects_own_is_called_after_its_endpoint_and_one_that_is_there_keeps_its_name(written):
    doubt = {"name": "doubt", "metric": "Doubt", "above": 3}
    prod = written({"environments.2.endpoint.alarms": [doubt, "costs"]}).environment("prod")

    assert prod.alarm_names[3:] == ["churn-prod-doubt", "costs"]


def test_advanced_gives_production_a_champion_and_a_challenger(written):
    project = written({"scenario": "advanced"})

    assert project.environment("prod").group_names == ["churn-prod-champion", "churn-prod-challenger"]
    assert project.environment("dev").group_names == ["churn-dev"]


def test_the_challenger_has_a_group_an_endpoint_alarms_and_reviewers_of_its_own(written):
    prod = written({"scenario": "advanced", "environments.2.endpoint.alarms": ["costs"]}).environment("prod")

    champion, challenger = prod.contenders

    assert (champion.group, champion.endpoint_name) == ("churn-prod-champion", "churn-prod")
    assert (challenger.group, challenger.endpoint_name) == ("churn-prod-challenger", "churn-prod-challenger")
    assert challenger.alarm_names == [f"churn-prod-challenger-{name}" for name in ("errors", "latency", "manual")]
    assert [each.approval_environment for each in (champion, challenger)] == [
        "prod-approval",
        "prod-challenger-approval",
    ]
    assert (challenger.bucket, challenger.role("deploy")) == (champion.bucket, champion.role("deploy"))
    assert challenger.contender("champion") == champion == prod != challenger


def test_the_challenger_serves_as_its_champion_does_but_for_what_is_said(written):
    said = {"requests": 100, "endpoint": {"instances": 1, "rollout": {"kind": "all_at_once"}}}
    large = {"instance_type": "ml.c5.xlarge", "instances": 2, "rollout": {"kind": "canary", "percent": 50}}
    given = {"scenario": "advanced", "environments.2.endpoint": large}

    challenger = written({**given, "environments.2.challenger": said}).environment("prod").contender("challenger")
    inherited = written(given).environment("prod").contender("challenger")

    assert challenger.endpoint.instance_type == "ml.c5.xlarge"
    assert (challenger.endpoint.instances, challenger.endpoint.rollout.kind) == (1, "all_at_once")
    assert (inherited.endpoint.instances, inherited.endpoint.rollout.kind) == (2, "canary")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"environments.1.challenger": {"requests": 1}}, "environments.dev has a challenger; only the last one may"),
        ({"environments.2.approval": "automatic"}, "prod.approval is automatic; .* champion without a trial: give"),
        ({"environments.2.approval": None}, "mlops.yaml: environments.prod.approval is automatic"),
        (
            {
                "environments.2.endpoint": {"instances": 2, "rollout": {"kind": "canary", "percent": 50}},
                "environments.2.challenger": {"endpoint": {"instances": 1}},
            },
            "environments.prod.challenger.endpoint: rollout canary shifts at most half of the instances",
        ),
        ({"environments.2.challenger": {"hours": -1}}, "environments.prod.challenger.hours is -1"),
        (
            {
                "environments.2.endpoint.hours": {"start": "07:00", "stop": "20:00"},
                "environments.2.challenger": {"hours": 24},
            },
            "environments.prod.challenger: hours: 24 would count those in which endpoint.hours stops it",
        ),
        ({"environments.2.challenger": {"request": 1}}, "environments.prod.challenger.request is no setting"),
        (
            {"project": "a" * 30, "environments.2.name": "production"},
            "have 40 characters together; in the advanced scenario at most 35",
        ),
    ],
)
def test_a_contest_that_cannot_be_is_refused(written, changes, line):
    with pytest.raises(BadInput, match=line):
        written({"scenario": "advanced", **changes})


def test_a_challenger_that_is_never_stopped_may_be_asked_for_hours(written):
    challenger = (
        written(
            {
                "scenario": "advanced",
                "environments.2.endpoint.hours": {"start": "07:00", "stop": "20:00"},
                "environments.2.challenger": {"hours": 24, "endpoint": {"hours": None}},
            }
        )
        .environment("prod")
        .challenger
    )

    assert (challenger.hours, challenger.endpoint.hours) == (24, None)


@pytest.mark.parametrize(
    ("scenario", "environment", "group", "line"),
    [
        ("basic", "prod", "challenger", "which prod does not have: .*scenario: advanced"),
        ("advanced", "dev", "challenger", "which dev does not have: only the last environment has one"),
        ("advanced", "prod", "churn-prod-champion", "give champion or challenger"),
    ],
)
def test_a_group_that_an_environment_does_not_have_is_refused(written, scenario, environment, group, line):
    with pytest.raises(BadInput, match=line):
        written({"scenario": scenario}).environment(environment).contender(group)


def test_an_instance_type_that_sagemaker_does_not_have_is_refused_with_those_close_to_it(written):
    instances.refuse_unknown(written({}))
    wrong = {"environments.1.endpoint.instance_type": "ml.m5.huge", "stages.train.instance_type": "ml.m5.larg"}

    with pytest.raises(BadInput) as told:
        instances.refuse_unknown(written(wrong))
    stage, endpoint = str(told.value).splitlines()
    assert stage.startswith("mlops.yaml: stages.train.instance_type is 'ml.m5.larg', which SageMaker does not have")
    assert "for training; close to it: ml.m5.large" in stage
    assert endpoint.startswith("mlops.yaml: environments.dev.endpoint.instance_type is 'ml.m5.huge'")
    assert max(map(len, (stage, endpoint))) < 300


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "mlops.yaml: is empty; lines such as project: NAME are needed"),
        ("- churn\n", "mlops.yaml: holds no settings"),
        (
            "project: churn\n  aws: [\n",
            "mlops.yaml: not valid YAML: line 2, column 6: mapping values are not allowed here",
        ),
    ],
)
def test_a_file_that_holds_no_settings_is_told_without_words_of_python(tmp_path, text, line):
    (tmp_path / "mlops.yaml").write_text(text, encoding="utf-8")

    with pytest.raises(BadInput) as told:
        settings.load(tmp_path)
    assert str(told.value).startswith(line)


def test_names_of_a_company_take_the_place_of_ours(written):
    changes = {"environments.1.bucket": "company-models", "environments.1.execution_role": "team/sagemaker"}
    dev = written(changes).environment("dev")

    assert dev.bucket == "company-models"
    assert dev.execution_role == "arn:aws:iam::111111111111:role/team/sagemaker"


def test_roles_of_a_company_take_the_place_of_ours_and_a_path_is_of_ours_only(written):
    given = {"deploy": "team/rollouts", "approve": "arn:aws:iam::333333333333:role/reviewers"}
    prod = written({"role_path": "/mlops/churn/", "environments.2.roles": given}).environment("prod")

    assert prod.role("deploy") == "arn:aws:iam::222222222222:role/team/rollouts"
    assert prod.role("approve") == "arn:aws:iam::333333333333:role/reviewers"
    assert prod.role("destroy") == "arn:aws:iam::222222222222:role/mlops/churn/churn-prod-destroy"
    assert prod.execution_role == "arn:aws:iam::222222222222:role/mlops/churn/churn-prod-execution"


def test_an_environments_key_is_its_own_or_the_projects(written):
    key, other = (f"arn:aws:kms:eu-west-1:111111111111:key/{name}" for name in ("project", "prod"))
    project = written({"kms_key": key, "environments.2.kms_key": other})

    assert [each.kms_key for each in project.environments] == [key, key, other]


def test_an_environment_may_have_no_key_although_the_project_has_one(tmp_path):
    first, *others = GOOD["environments"]
    key = "arn:aws:kms:eu-west-1:111111111111:key/project"
    content = {**GOOD, "kms_key": key, "environments": [{**first, "kms_key": None}, *others]}
    (tmp_path / "mlops.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")

    assert [each.kms_key for each in settings.load(tmp_path).environments] == [None, key, key]


def test_the_longest_name_that_a_project_derives_fits_sagemaker(written):
    project = written({"project": "a" * 30, "scenario": "advanced", "environments.2.name": "e" * 5})
    contenders = [each for environment in project.environments for each in environment.contenders]
    configs = [f"{each.group}-v99999-01234567" for each in contenders]
    names = [name for each in contenders for name in (each.group, each.endpoint_name)] + configs

    assert max(len(name) for name in names) <= 63


def test_an_environment_that_does_not_exist_is_refused_with_those_that_do(written):
    with pytest.raises(BadInput, match=r"environment is 'production'; mlops\.yaml has feature, dev, prod"):
        written({}).environment("production")


def test_the_way_has_a_before_and_an_after(written):
    project = written({})
    feature, dev, prod = project.environments

    assert [project.before(each) for each in (feature, dev, prod)] == [None, feature, dev]
    assert [project.after(each) for each in (feature, dev, prod)] == [dev, prod, None]
