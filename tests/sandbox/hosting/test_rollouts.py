"""Deployments shift traffic as they are told, and the endpoint's own metrics take them back."""

from __future__ import annotations

from collections import Counter

import pytest
from botocore.exceptions import ClientError

FAILS = 'if body.startswith("fail"): raise RuntimeError("no answer to " + body)'
ALL_AT_ONCE = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 0}


def canary(wait: int, percent: int = 50) -> dict:
    return {
        "Type": "CANARY",
        "CanarySize": {"Type": "CAPACITY_PERCENT", "Value": percent},
        "WaitIntervalInSeconds": wait,
    }


def linear(wait: int) -> dict:
    size = {"Type": "INSTANCE_COUNT", "Value": 1}
    return {"Type": "LINEAR", "LinearStepSize": size, "WaitIntervalInSeconds": wait}


def test_a_canary_gets_its_share_then_everything(hosting):
    endpoint = hosting.serving("old")
    configuration = hosting.deploy(endpoint, hosting.model("new"), canary(60))
    hosting.shifted(endpoint, "new")

    during = Counter(hosting.ask(endpoint)[0].split()[0] for _ in range(20))
    described = hosting.describe(endpoint)
    settled = hosting.settled(endpoint)

    assert during == {"old": 10, "new": 10}
    assert described["EndpointStatus"] == "Updating"
    assert described["PendingDeploymentSummary"]["EndpointConfigName"] == configuration
    assert settled["EndpointConfigName"] == configuration
    assert {hosting.ask(endpoint)[0] for _ in range(4)} == {"new hello"}


def test_a_canary_is_taken_back_by_the_errors_that_it_makes(hosting):
    endpoint = hosting.serving("old")
    before = hosting.describe(endpoint)["EndpointConfigName"]
    alarm = hosting.alarm(endpoint)
    hosting.deploy(endpoint, hosting.model("new", FAILS), canary(600), alarm)

    with pytest.raises(ClientError, match="no answer to fail"):
        for _ in range(1000):
            hosting.ask(endpoint, "fail")
    settled = hosting.settled(endpoint)

    assert settled["EndpointStatus"] == "InService"
    assert settled["EndpointConfigName"] == before
    assert alarm in settled["FailureReason"]
    routing = settled["LastDeploymentConfig"]["BlueGreenUpdatePolicy"]["TrafficRoutingConfiguration"]
    assert routing["Type"] == "CANARY"
    assert {hosting.ask(endpoint, "fail")[0] for _ in range(4)} == {"old fail"}


def test_errors_before_the_deployment_do_not_take_it_back(hosting):
    endpoint = hosting.serving("old", FAILS)
    alarm = hosting.alarm(endpoint)
    with pytest.raises(ClientError):
        hosting.ask(endpoint, "fail")
    cloudwatch = hosting.cloudwatch

    def state():
        return cloudwatch.describe_alarms(AlarmNames=[alarm])["MetricAlarms"][0]["StateValue"]

    hosting.world.until(state, lambda seen: seen == "ALARM")
    hosting.world.until(state, lambda seen: seen == "OK")
    configuration = hosting.deploy(endpoint, hosting.model("new"), ALL_AT_ONCE, alarm)

    assert hosting.settled(endpoint)["EndpointConfigName"] == configuration


def test_a_person_stops_a_rollout_with_an_alarm(hosting):
    endpoint = hosting.serving("old")
    before = hosting.describe(endpoint)["EndpointConfigName"]
    alarm = hosting.alarm(endpoint, "StoppedByHand")
    hosting.deploy(endpoint, hosting.model("new"), ALL_AT_ONCE, alarm, bake=600)
    hosting.shifted(endpoint, "new")

    hosting.cloudwatch.set_alarm_state(AlarmName=alarm, StateValue="ALARM", StateReason="stopped")
    statuses = [hosting.world.until(lambda: hosting.describe(endpoint), lambda seen: "FailureReason" in seen)]

    assert statuses[0]["EndpointStatus"] in ("RollingBack", "InService")
    assert hosting.settled(endpoint)["EndpointConfigName"] == before
    assert hosting.ask(endpoint)[0] == "old hello"


def test_linear_steps_raise_the_share(hosting):
    variants = {"InitialInstanceCount": 4}
    endpoint = hosting.endpoint(hosting.configuration(hosting.variant(hosting.model("old"), **variants)))
    configuration = hosting.configuration(hosting.variant(hosting.model("new"), **variants))
    policy = {"TrafficRoutingConfiguration": linear(30), "TerminationWaitInSeconds": 0}
    hosting.sagemaker.update_endpoint(
        EndpointName=endpoint, EndpointConfigName=configuration, DeploymentConfig={"BlueGreenUpdatePolicy": policy}
    )

    answers = []
    while hosting.describe(endpoint)["EndpointStatus"] == "Updating":
        answers.append(hosting.ask(endpoint)[0].split()[0])
    third = len(answers) // 3
    first, last = answers[:third].count("new") / third, answers[-third:].count("new") / third

    assert 0 < first < last
    assert hosting.ask(endpoint)[0] == "new hello"


def test_nobody_notices_a_deployment(hosting):
    endpoint = hosting.serving("old")
    hosting.deploy(endpoint, hosting.model("new"), canary(30), bake=10)

    while hosting.describe(endpoint)["EndpointStatus"] == "Updating":
        assert hosting.ask(endpoint)[0] in ("old hello", "new hello")


def test_a_model_that_does_not_load_leaves_the_old_one_serving(hosting):
    endpoint = hosting.serving("old")
    broken = hosting.model(script="def model_fn(folder): raise OSError('the weights are damaged')")
    hosting.deploy(endpoint, broken, ALL_AT_ONCE)

    settled = hosting.settled(endpoint)

    assert settled["EndpointStatus"] == "InService"
    assert "the weights are damaged" in settled["FailureReason"]
    assert hosting.ask(endpoint)[0] == "old hello"


def test_one_deployment_at_a_time(hosting):
    endpoint = hosting.serving("old")
    hosting.deploy(endpoint, hosting.model("new"), canary(60))

    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        hosting.deploy(endpoint, hosting.model("newer"), ALL_AT_ONCE)
    with pytest.raises(ClientError, match="Cannot update in-progress endpoint"):
        hosting.sagemaker.delete_endpoint(EndpointName=endpoint)
    hosting.settled(endpoint)


@pytest.mark.parametrize(
    ("routing", "bake", "why"),
    [
        (canary(60, percent=60), 0, "CanarySize must be 1 to 50 percent"),
        ({"Type": "CANARY", "WaitIntervalInSeconds": 60}, 0, "CanarySize is required"),
        (
            {
                "Type": "LINEAR",
                "LinearStepSize": {"Type": "INSTANCE_COUNT", "Value": 2},
                "WaitIntervalInSeconds": 60,
            },
            0,
            "at most 50% of the instances",
        ),
        (canary(4000), 0, "less than or equal to 3600"),
        (ALL_AT_ONCE, 4000, "less than or equal to 3600"),
    ],
)
def test_settings_of_a_rollout_are_held_to_the_services_limits(hosting, one_endpoint, routing, bake, why):
    instances = 3 if routing["Type"] == "LINEAR" else 2
    with pytest.raises(ClientError, match=why):
        configuration = hosting.configuration(hosting.variant(one_endpoint.model, InitialInstanceCount=instances))
        policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": bake}
        hosting.sagemaker.update_endpoint(
            EndpointName=one_endpoint.name,
            EndpointConfigName=configuration,
            DeploymentConfig={"BlueGreenUpdatePolicy": policy},
        )


def test_one_instance_has_no_half_for_a_canary(hosting, one_endpoint):
    configuration = hosting.configuration(hosting.variant(one_endpoint.model, InitialInstanceCount=1))
    policy = {"TrafficRoutingConfiguration": canary(60), "TerminationWaitInSeconds": 0}

    with pytest.raises(ClientError, match="AllTraffic, which has 1"):
        hosting.sagemaker.update_endpoint(
            EndpointName=one_endpoint.name,
            EndpointConfigName=configuration,
            DeploymentConfig={"BlueGreenUpdatePolicy": policy},
        )


@pytest.mark.parametrize("routing", [canary(60), linear(60)])
def test_inferentia_is_shifted_all_at_once_only(hosting, one_endpoint, routing):
    variant = hosting.variant(one_endpoint.model, InitialInstanceCount=2, InstanceType="ml.inf1.xlarge")
    with pytest.raises(ClientError, match=f"{routing['Type']} is not supported on ml.inf1.xlarge"):
        hosting.sagemaker.update_endpoint(
            EndpointName=one_endpoint.name,
            EndpointConfigName=hosting.configuration(variant),
            DeploymentConfig={"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing}},
        )


def test_an_alarm_has_to_exist(hosting, one_endpoint):
    with pytest.raises(ClientError, match="Alarm no-such-alarm does not exist"):
        hosting.deploy(one_endpoint.name, one_endpoint.model, ALL_AT_ONCE, "no-such-alarm")


def test_rolling_deployments_are_refused_in_a_line(hosting, one_endpoint):
    batch = {"MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1}, "WaitIntervalInSeconds": 0}
    configuration = hosting.configuration(hosting.variant(one_endpoint.model))

    with pytest.raises(ClientError, match="the sandbox supports blue/green deployments only"):
        hosting.sagemaker.update_endpoint(
            EndpointName=one_endpoint.name,
            EndpointConfigName=configuration,
            DeploymentConfig={"RollingUpdatePolicy": batch},
        )
