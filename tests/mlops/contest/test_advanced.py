"""The advanced scenario: in production a champion and a challenger serve, each on an endpoint of its own."""

from collections.abc import Callable
from typing import Any

import pytest

from mlops.checks import contract
from mlops.errors import Failure, NotApproved
from mlops.hosting import deployment, endpoints, shadows, teardown
from mlops.hosting.served import mark
from mlops.registry import approval, groups, history, packages, status
from mlops.reporting import report
from mlops.settings.project import Environment
from mlops.settings.serving import Shadow

pytestmark = pytest.mark.slow


def served(world: Any, label: str, *contenders: Environment) -> list[packages.ModelPackage]:
    """A model that has come to production, and serves as some of its contenders."""
    found = world.promote(world.in_dev(label).fingerprint, world.prod)
    for contender in contenders:
        approval.approve(world.settings, contender, by="somebody", why="good")
        deployment.deploy(world.settings, contender, world.progress)
    return list(found)


def test_a_promotion_fills_both_groups_and_each_is_approved_and_deployed_on_its_own(advanced: Any) -> None:
    champion, challenger = advanced.prod.contenders
    first, other = served(advanced, "first")
    assert (first.group, other.group) == ("churn-prod-champion", "churn-prod-challenger")
    assert [(each.version, each.status) for each in (first, other)] == [(1, "PendingManualApproval")] * 2
    assert first.artefact == other.artefact

    approval.approve(advanced.settings, challenger, by="ines", why="good")
    result = deployment.deploy(advanced.settings, challenger, advanced.progress)

    assert (result.endpoint, result.package) == ("churn-prod-challenger", other.arn)
    with pytest.raises(NotApproved, match=r"churn-prod-champion version 1 waits .* mlops approve --env prod --by"):
        deployment.deploy(advanced.settings, champion, advanced.progress)
    assert endpoints.state(advanced.session(champion), "churn-prod") is None
    approval.approve(advanced.settings, champion, by="mira", why="proven")
    assert deployment.deploy(advanced.settings, champion, advanced.progress).package == first.arn
    assert advanced.answer(champion) == advanced.answer(challenger) == "first"
    rows = {row.group: row for row in status.status(advanced.settings)}
    assert [(rows[each.group].endpoint, rows[each.group].serving) for each in (champion, challenger)] == [
        ("churn-prod", 1),
        ("churn-prod-challenger", 1),
    ]
    told = {(each.group, each.what, each.who, each.why) for each in history.history(advanced.settings)}
    assert ("churn-prod-challenger", "approved", "ines", "good") in told
    deployed = {(group, why) for group, what, who, why in told if what == "deployed" and who}
    assert ("churn-prod-challenger", "on churn-prod-challenger") in deployed
    assert ("churn-prod-champion", "on churn-prod") in deployed


def test_what_a_challenger_breaks_is_the_challengers_alone(advanced: Any) -> None:
    champion, challenger = advanced.prod.contenders
    served(advanced, "first", challenger, champion)
    served(advanced, "second", challenger)
    assert [advanced.answer(each) for each in (champion, challenger)] == ["first", "second"]

    back = deployment.rollback(advanced.settings, challenger, advanced.progress)

    assert (back.endpoint, back.version) == ("churn-prod-challenger", 1)
    assert [advanced.answer(each) for each in (champion, challenger)] == ["first", "first"]
    session = advanced.session(advanced.prod)
    left = [packages.of_version(session, each.group, 2).status for each in (champion, challenger)]
    assert left == ["PendingManualApproval", "Rejected"]
    served(advanced, "raises", challenger)
    with pytest.raises(Failure, match="churn-prod-challenger breaks"):
        contract.verify(advanced.settings, challenger, advanced.progress)
    assert len(contract.verify(advanced.settings, champion, advanced.progress)) == 2

    teardown.teardown(advanced.settings, challenger, "churn-prod-challenger", advanced.progress)

    assert endpoints.state(session, "churn-prod-challenger") is None
    assert advanced.answer(champion) == "first"


def test_the_report_tells_what_serves_as_champion_and_as_challenger(advanced: Any) -> None:
    champion, challenger = advanced.prod.contenders
    served(advanced, "first", challenger, champion)
    _, second = served(advanced, "second", challenger)
    session = advanced.session(advanced.prod)

    found = [report.served(session, advanced.settings, champion, each, None) for each in (champion, challenger)]

    assert [each.name for each in found] == ["prod champion v1", "prod challenger v2"]
    assert found[1].package is not None
    assert found[1].package.arn == second.arn


def test_a_promotion_that_was_killed_between_the_groups_fills_the_second(
    advanced: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = advanced.in_dev("first")
    create: Callable[..., packages.ModelPackage] = packages.create

    def only_champion(session: Any, group: str, *given: Any, **named: Any) -> packages.ModelPackage:
        if group.endswith("challenger"):
            raise KeyboardInterrupt
        return create(session, group, *given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(packages, "create", only_champion)
        with pytest.raises(KeyboardInterrupt):
            advanced.promote(source.fingerprint, advanced.prod)

    found = advanced.promote(source.fingerprint, advanced.prod)

    assert [(each.group, each.version) for each in found] == [("churn-prod-champion", 1), ("churn-prod-challenger", 1)]


def test_versions_of_the_group_before_a_switch_are_known_by_their_model_and_not_by_their_number(advanced: Any) -> None:
    """A switch to advanced was killed: the endpoint serves version 3 of churn-prod still, which is champion's 2."""
    session, project = advanced.session(advanced.prod), advanced.settings
    copies = [advanced.promote(advanced.in_dev(label).fingerprint, advanced.prod)[0] for label in ("first", "second")]
    copies = [packages.set_status(session, each, "Approved", "") for each in copies]
    mark(session, project, advanced.prod, endpoints.prepare(session, project, advanced.prod, copies[0]))
    groups.create_group(session, project, advanced.prod, "churn-prod")
    basic = advanced.prod.model_copy(update={"groups": ()})
    for number, source in enumerate([copies[1], *copies]):
        last = packages.create(
            session,
            "churn-prod",
            source.fingerprint,
            packages.token("before", str(number)),
            ModelPackageDescription=packages.description(source.fingerprint, source.commit),
            ModelApprovalStatus="Approved",
            InferenceSpecification=packages.specification(source.image, source.artefact),
        )
    endpoints.create(session, project, basic, endpoints.prepare(session, project, basic, last))
    found = endpoints.settle(session, "churn-prod", advanced.progress)
    assert endpoints.version_of(found.config) == 3
    rollout = advanced.prod.endpoint.model_copy(update={"rollout": Shadow(kind="shadow", requests=1)})
    shadowed = advanced.prod.model_copy(update={"endpoint": rollout})
    # The same model: there is nothing to compare.
    assert shadows.carry_out(session, project, shadowed, copies[1], found, advanced.progress) is None

    result = deployment.rollback(project, advanced.prod, advanced.progress)

    assert (result.version, advanced.answer(advanced.prod)) == (1, "first")
    left = packages.describe(session, copies[1].arn)
    assert (left.version, left.status) == (2, "Rejected")
