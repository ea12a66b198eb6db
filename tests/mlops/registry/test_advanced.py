"""The advanced scenario: production has a champion's group and a challenger's."""

from collections.abc import Callable
from typing import Any

import pytest

from mlops import approval, deployment, packages


@pytest.mark.slow
def test_a_promotion_fills_both_groups_and_the_champion_serves(advanced: Any) -> None:
    source = advanced.in_dev("first")

    champion, challenger = advanced.promote(source.fingerprint, advanced.prod)

    assert (champion.group, challenger.group) == ("churn-prod-champion", "churn-prod-challenger")
    assert [(each.version, each.status) for each in (champion, challenger)] == [(1, "PendingManualApproval")] * 2
    assert champion.artefact == challenger.artefact
    approval.approve(advanced.settings, advanced.prod, by="somebody", why="good", group="challenger")
    assert packages.describe(advanced.session(advanced.prod), champion.arn).status == "PendingManualApproval"
    approval.approve(advanced.settings, advanced.prod, by="somebody", why="good")
    result = deployment.deploy(advanced.settings, advanced.prod, advanced.progress)
    assert (result.endpoint, result.package) == ("churn-prod", champion.arn)
    assert advanced.answer(advanced.prod) == "first"


@pytest.mark.slow
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
