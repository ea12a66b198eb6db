"""What comes after the releases: a shadow, files in batch, and what nothing needs any more."""

from datetime import UTC, datetime, timedelta

from mlops.cli import registry
from mlops.laptop.clients import traffic
from mlops.laptop.narration import Narrator
from mlops.laptop.playground import change, commit
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import INFERENTIA, Batch, Endpoint

SHADOW = {"kind": "shadow", "requests": 40, "seconds": 120, "latency": 10.0, "bake_seconds": 300}
"""A rule that a laptop keeps too, where both versions and their clients share a few processors."""

AGREEMENT = 0.9


def tell(project: Settings, narrator: Narrator) -> None:
    """The chapters; what a project's settings do not allow is left out, and said."""
    last = project.environments[-1]
    if can_have_a_shadow(last):
        in_the_shadow(project, narrator, last)
    else:
        narrator.say(f"\n(no shadow is shown: {last.name} is not real time, or scales)")
    in_batch(project, narrator, project.environments[-2])
    with narrator.chapter("prune", "What nothing needs any more is listed, and then removed"):
        days = max(project.retention.unused_days, project.retention.feature_days) + 1
        narrator.say(f"  … as if {days} days had passed")
        later = datetime.now(UTC) + timedelta(days=days)
        narrator.run("mlops prune", lambda: registry.pruned(yes=False, json=False, now=later))
        narrator.run("mlops prune --yes", lambda: registry.pruned(yes=True, json=False, now=later))


def can_have_a_shadow(environment: Environment) -> bool:
    """Whether the endpoint is of a kind beside which SageMaker puts a shadow."""
    endpoint = environment.endpoint
    return (
        isinstance(endpoint, Endpoint)
        and endpoint.autoscaling is None
        and not endpoint.instance_type.startswith(INFERENTIA)
    )


def in_the_shadow(project: Settings, narrator: Narrator, last: Environment) -> None:
    """The version that was left is tried once more: its answers are compared before anybody gets one."""
    champion = last.contenders[0]
    with narrator.chapter("shadow", "It is tried once more, in the shadow: copies of the requests, then it takes over"):
        captured = isinstance(last.endpoint, Endpoint) and last.endpoint.capture is not None
        rollout = {**SHADOW, **({"agreement": AGREEMENT} if captured else {})}
        change(project.root, last.name, rollout=rollout)
        commit(project.root, "Ask copies of the requests first")
        why = "it was left to show a rollback"
        narrator.mlops("approve", "--env", last.name, "--version", "2", "--by", "you", "--reason", why)
        with traffic(project, champion):
            narrator.mlops("deploy", "--env", last.name)


def in_batch(project: Settings, narrator: Narrator, environment: Environment) -> None:
    """Another kind of serving is a change of the settings."""
    name = environment.name
    if environment.endpoint is None:
        return
    with narrator.chapter("batch", f"Files instead of requests: {name} is made kind batch, and a file goes through"):
        if not isinstance(environment.endpoint, Batch):
            change(project.root, name, endpoint={"kind": "batch"})
            commit(project.root, f"{name} transforms files")
        narrator.mlops("deploy", "--env", name)
        narrator.mlops("transform", "requests.csv", "--env", name)
        if not isinstance(environment.endpoint, Batch):
            narrator.mlops("teardown", "--env", name, "--confirm", environment.endpoint_name)
