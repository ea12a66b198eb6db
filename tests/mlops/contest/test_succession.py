"""The succession: a model is approved as champion once it has served as challenger, and takes the place of one."""

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mlops.contest import succession, trial
from mlops.errors import BadInput, Failure, NotApproved
from mlops.hosting import deployment, endpoints
from mlops.registry import approval, packages
from mlops.settings.project import Environment

pytestmark = pytest.mark.slow


def asks(environment: Environment, **asked: float) -> Environment:
    """The environment with a challenger of which something is asked."""
    given = environment.challenger
    assert given is not None
    return environment.model_copy(update={"challenger": given.model_copy(update=asked)})


def as_challenger(world: Any, label: str) -> tuple[packages.ModelPackage, packages.ModelPackage]:
    """A model that serves as challenger; its version as champion waits."""
    champion, other = world.promote(world.in_dev(label).fingerprint, world.prod)
    contender = world.prod.contender("challenger")
    approval.approve(world.settings, contender, by="ines", why="good")
    deployment.deploy(world.settings, contender, world.progress)
    return champion, packages.describe(world.session(world.prod), other.arn)


def crowned(world: Any, label: str) -> None:
    """A model that serves as challenger and as champion."""
    as_challenger(world, label)
    approval.approve(world.settings, world.prod, by="mira", why="proven")
    deployment.deploy(world.settings, world.prod, world.progress)


def test_what_has_not_served_as_challenger_is_not_approved_as_champion(advanced: Any) -> None:
    champion, _ = advanced.promote(advanced.in_dev("first").fingerprint, advanced.prod)

    with pytest.raises(NotApproved, match="version 1 has not served: mlops deploy --env prod --group challenger"):
        approval.approve(advanced.settings, advanced.prod, by="mira", why="good")

    assert packages.describe(advanced.session(advanced.prod), champion.arn).status == "PendingManualApproval"


def test_a_champion_waits_for_the_requests_that_are_asked(advanced: Any) -> None:
    as_challenger(advanced, "first")
    prod = asks(advanced.prod, requests=3)
    for _ in range(2):
        advanced.answer(advanced.prod.contender("challenger"))
    with pytest.raises(
        NotApproved, match="it has been asked 2 times, 3 requests are asked; when it has: mlops approve"
    ):
        approval.approve(advanced.settings, prod, by="mira", why="good")

    advanced.answer(advanced.prod.contender("challenger"))
    package = approval.approve(advanced.settings, prod, by="mira", why="good")

    assert package.status == "Approved"
    assert "good (3 requests in 0.0 h as challenger)" in package.reason


def test_a_champion_waits_for_the_hours_that_are_asked_of_it_and_no_other_model(
    advanced: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = advanced.session(advanced.prod)
    made_long_ago(monkeypatch)
    champion, first = as_challenger(advanced, "first")
    earlier(session, first, hours=5)
    assert trial.of(session, advanced.prod, champion).hours == pytest.approx(5, abs=0.1)
    assert approval.approve(advanced.settings, asks(advanced.prod, hours=5), by="m", why="good").status == "Approved"

    newer, second = as_challenger(advanced, "second")

    with pytest.raises(NotApproved, match=r"it has served for 0\.0 h without a break, 5 h are asked"):
        approval.approve(advanced.settings, asks(advanced.prod, hours=5), by="m", why="good")
    earlier(session, second, hours=2)
    # What the first one served ended when the second one began.
    assert trial.of(session, advanced.prod, champion).hours == pytest.approx(3, abs=0.1)
    assert trial.of(session, advanced.prod, newer).hours == pytest.approx(2, abs=0.1)


def test_what_was_approved_in_the_registry_is_deployed_as_champion_once_it_is_proven(advanced: Any) -> None:
    crowned(advanced, "first")
    champion, _ = as_challenger(advanced, "second")
    prod, session = asks(advanced.prod, requests=2), advanced.session(advanced.prod)
    # As somebody does it in Studio.
    packages.set_status(session, champion, "Approved", "looks good")

    with pytest.raises(
        NotApproved, match=r"version 2 can not become champion yet: it has been asked 0 times, 2 .*"
    ) as no:
        deployment.deploy(advanced.settings, prod, advanced.progress)

    assert str(no.value).endswith("when it has: mlops deploy --env prod, or the workflow approved by hand")
    assert advanced.answer(prod) == "first"
    assert packages.describe(session, champion.arn).status == "Approved"
    for _ in range(2):
        advanced.answer(prod.contender("challenger"))
    assert deployment.deploy(advanced.settings, prod, advanced.progress).version == 2
    assert advanced.answer(prod) == "second"
    # It has served: other settings ask for no second trial, whatever the challenger serves by then.
    as_challenger(advanced, "third")
    asked_more = asks(advanced.prod, requests=50)
    instances = asked_more.endpoint.model_copy(update={"instances": 3})
    again = deployment.deploy(
        advanced.settings, asked_more.model_copy(update={"endpoint": instances}), advanced.progress
    )
    assert (again.version, again.changed) == (2, True)


def made_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every endpoint have been made a week ago, and never stopped since."""
    state = endpoints.state

    def old(session: Any, endpoint: str) -> Any:
        found = state(session, endpoint)
        return found and dataclasses.replace(found, created=datetime.now(UTC) - timedelta(days=7))

    monkeypatch.setattr(endpoints, "state", old)


def test_what_a_challenger_was_asked_before_it_was_stopped_counts_while_it_is_and_after(advanced: Any) -> None:
    contender, session = advanced.prod.contender("challenger"), advanced.session(advanced.prod)
    _, other = as_challenger(advanced, "first")
    for _ in range(3):
        advanced.answer(contender)
    endpoints.remove(session, contender.endpoint_name, advanced.progress)

    with pytest.raises(NotApproved) as told:
        approval.approve(advanced.settings, asks(advanced.prod, requests=4), by="mira", why="good")

    said = "it has been asked 3 times, 4 requests are asked; churn-prod-challenger is stopped, and mlops deploy"
    assert f"{said} --env prod --group challenger starts it; when it has: mlops approve" in str(told.value)
    with pytest.raises(NotApproved, match=r"it has served for 0\.0 h without a break, 4 h are asked; .* is stopped"):
        approval.approve(advanced.settings, asks(advanced.prod, hours=4), by="mira", why="good")
    deployment.deploy(advanced.settings, contender, advanced.progress)
    advanced.answer(contender)
    found = trial.of(session, asks(advanced.prod, requests=4), other)
    assert (found.requests, found.missing) == (4, [])
    endpoints.remove(session, contender.endpoint_name, advanced.progress)
    assert approval.approve(advanced.settings, asks(advanced.prod, requests=4), "mira", "proven").status == "Approved"
    deployment.deploy(advanced.settings, contender, advanced.progress)
    earlier(session, other, hours=5)
    # Whatever was before the stop: the endpoint is there since just now.
    assert trial.of(session, advanced.prod, other).hours == pytest.approx(0, abs=0.1)


def test_a_version_that_comes_back_on_a_new_endpoint_after_another_one_begins_anew(advanced: Any) -> None:
    contender, session = advanced.prod.contender("challenger"), advanced.session(advanced.prod)
    _, first = as_challenger(advanced, "first")
    _, second = as_challenger(advanced, "second")
    endpoints.remove(session, contender.endpoint_name, advanced.progress)
    approval.reject(advanced.settings, contender, by="ines", why="too slow", version=second.version)

    deployment.deploy(advanced.settings, contender, advanced.progress)

    began = packages.describe(session, first.arn).metadata[trial.SINCE]
    assert began > second.metadata[trial.SINCE] > first.metadata[trial.SINCE]


def earlier(session: Any, package: packages.ModelPackage, hours: float, made: float | None = None) -> None:
    """Let a challenger have begun to serve some hours ago, on an endpoint that was made some hours ago."""
    now, noted = datetime.now(UTC), trial.beginning(packages.describe(session, package.arn))
    assert noted is not None
    began = trial.Beginning(now - timedelta(hours=hours), now - timedelta(hours=made) if made else noted.made)
    session.client("sagemaker").update_model_package(
        ModelPackageArn=package.arn, CustomerMetadataProperties={trial.SINCE: str(began)}
    )


def test_a_stop_in_between_is_no_hour_served_of_a_model_that_another_one_has_followed(advanced: Any) -> None:
    session, contender = advanced.session(advanced.prod), advanced.prod.contender("challenger")
    champion, first = as_challenger(advanced, "first")
    _, second = as_challenger(advanced, "second")
    made = endpoints.state(session, contender.endpoint_name).created
    assert trial.beginning(second) == trial.Beginning(trial.beginning(second).since, made)

    earlier(session, first, hours=50)
    # The endpoint was stopped, and made again 3 h before the second one came.
    earlier(session, second, hours=2, made=5)

    assert trial.of(session, advanced.prod, champion).hours == pytest.approx(3, abs=0.1)
    with pytest.raises(NotApproved, match=r"it has served for 3\.0 h without a break, 24 h are asked"):
        approval.approve(advanced.settings, asks(advanced.prod, hours=24), by="mira", why="good", version=1)


def test_a_model_that_another_one_followed_while_it_was_stopped_has_no_hours_until_it_serves_again(
    advanced: Any,
) -> None:
    session, contender = advanced.session(advanced.prod), advanced.prod.contender("challenger")
    champion, first = as_challenger(advanced, "first")
    endpoints.remove(session, contender.endpoint_name, advanced.progress)
    as_challenger(advanced, "second")
    earlier(session, first, hours=50)

    with pytest.raises(NotApproved, match="how long it served without a break before another one") as told:
        approval.approve(advanced.settings, asks(advanced.prod, hours=24), by="mira", why="good", version=1)

    assert "mlops rollback --env prod --group challenger --to 1 has it serve" in str(told.value)
    assert trial.of(session, asks(advanced.prod, requests=0), champion).missing == []
    deployment.rollback(advanced.settings, contender, advanced.progress, to=1)
    found = trial.of(session, asks(advanced.prod, hours=24), champion)
    assert found.missing == ["it has served for 0.0 h without a break, 24 h are asked"]


def test_what_a_challenger_served_ends_with_the_next_one_though_that_one_is_gone_back_to_later(advanced: Any) -> None:
    session, challenger = advanced.session(advanced.prod), advanced.prod.contender("challenger")
    champion, _ = as_challenger(advanced, "first")
    _, second = as_challenger(advanced, "second")
    ended = trial.service(session, challenger, champion.fingerprint).until
    as_challenger(advanced, "third")

    deployment.rollback(advanced.settings, challenger, advanced.progress)

    assert trial.service(session, challenger, champion.fingerprint).until == ended
    # It serves again: what ended its first time is no end of this one.
    found = trial.service(session, challenger, second.fingerprint)
    assert found.since > ended
    assert trial.service(session, challenger, second.fingerprint).until > found.until


def test_changed_settings_do_not_begin_a_trial_again_and_a_rollback_does(advanced: Any) -> None:
    session, challenger = advanced.session(advanced.prod), advanced.prod.contender("challenger")
    _, first = as_challenger(advanced, "first")
    larger = challenger.model_copy(
        update={"endpoint": challenger.endpoint.model_copy(update={"instance_type": "ml.m5.xlarge"})}
    )
    larger._champion = advanced.prod

    assert deployment.deploy(advanced.settings, larger, advanced.progress).changed
    assert packages.describe(session, first.arn).metadata[trial.SINCE] == first.metadata[trial.SINCE]

    _, second = as_challenger(advanced, "second")
    deployment.rollback(advanced.settings, challenger, advanced.progress)
    assert packages.describe(session, first.arn).metadata[trial.SINCE] > second.metadata[trial.SINCE]


def test_a_challenger_that_was_rejected_is_no_champion(advanced: Any) -> None:
    crowned(advanced, "first")
    as_challenger(advanced, "second")
    deployment.rollback(advanced.settings, advanced.prod.contender("challenger"), advanced.progress)

    with pytest.raises(NotApproved, match="churn-prod-challenger version 2 is Rejected"):
        approval.approve(advanced.settings, advanced.prod, by="mira", why="good")


def test_a_proven_challenger_takes_the_place_of_the_champion_who_stays_to_be_rolled_back_to(advanced: Any) -> None:
    crowned(advanced, "first")
    as_challenger(advanced, "second")
    with pytest.raises(NotApproved, match="churn-prod-champion version 2 is the challenger's model and waits"):
        succession.succeed(advanced.settings, advanced.progress)
    assert advanced.answer(advanced.prod) == "first"
    approval.approve(advanced.settings, advanced.prod, by="mira", why="better")

    result = succession.succeed(advanced.settings, advanced.progress)

    assert (result.endpoint, result.version, result.changed) == ("churn-prod", 2, True)
    assert advanced.answer(advanced.prod) == "second"
    assert succession.succeed(advanced.settings, advanced.progress).changed is False
    back = deployment.rollback(advanced.settings, advanced.prod, advanced.progress)
    assert (back.version, advanced.answer(advanced.prod)) == (1, "first")
    # To be champion again it has to be approved again, which asks for no second trial.
    with pytest.raises(Failure, match="version 2 holds this model and was Rejected"):
        succession.succeed(advanced.settings, advanced.progress)
    approval.approve(advanced.settings, asks(advanced.prod, hours=9), by="mira", why="it was the network", version=2)
    assert succession.succeed(advanced.settings, advanced.progress).version == 2


def test_a_challenger_that_is_not_the_champions_newest_version_is_copied_again(advanced: Any) -> None:
    crowned(advanced, "first")
    champion, _ = as_challenger(advanced, "second")
    third, _ = advanced.promote(advanced.in_dev("third").fingerprint, advanced.prod)

    with pytest.raises(NotApproved, match="churn-prod-champion version 4 is the challenger's model and waits"):
        succession.succeed(advanced.settings, advanced.progress)

    copy = packages.of_version(advanced.session(advanced.prod), "churn-prod-champion", 4)
    assert (copy.digest, copy.fingerprint) == (champion.digest, champion.fingerprint)
    assert copy.fingerprint != third.fingerprint
    assert trial.SINCE not in copy.metadata


def test_there_is_no_succession_without_a_challenger(world: Any) -> None:
    with pytest.raises(BadInput, match="scenario is basic"):
        succession.succeed(world.settings, world.progress)
