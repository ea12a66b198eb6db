"""How things have to stand after a deed, by the flow table: registry, endpoints, what they answer, what is reported."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from harness.moments import Moment, Version
from harness.runs import Run

if TYPE_CHECKING:
    from harness.world import World

METRIC = "metric.roc_auc"
SCORES = "-score-"
"""In the name of a job by which the gate asks what serves: it trains nothing."""


@dataclass(frozen=True)
class Expected:
    """How things have to stand; what is not named here stands as it did before.

    Args:
        before: how things stood before the deed.
        came: by group, the status of each version that it has more, the oldest first.
        became: by group, the status that the newest of the versions that it had has now.
        serves: by environment, a version of any group: the endpoint serves its model, by the newest approved version
            of its own group, and answers as the artefact of the one named here does. None where no endpoint is left.
        reports: by `workflow.yml job`, the version whose report stands in the summary, and those that it is held
            against there.
        says: by `workflow.yml job`, other words of the summary.
        trains: whether jobs were started that make a model.
    """

    before: Moment
    came: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    became: Mapping[str, str] = field(default_factory=dict)
    serves: Mapping[str, Version | None] = field(default_factory=dict)
    reports: Mapping[str, tuple[Version, ...]] = field(default_factory=dict)
    says: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    trains: bool = False

    def check(self, world: "World", moment: Moment) -> None:
        """Hold a moment against it.

        Raises:
            AssertionError: something stands otherwise; all of it is told, with what the runs did.
        """
        problems = [*self._registry(moment), *self._endpoints(world, moment), *self._jobs(moment), *self._told(moment)]
        assert not problems, "\n".join([*problems, moment.told()])

    def _registry(self, moment: Moment) -> Iterator[str]:
        for group, versions in moment.groups.items():
            wanted = [(each.number, each.status, each.digest) for each in self.before.groups[group]]
            if group in self.became:
                number, _, digest = wanted.pop()
                wanted.append((number, self.became[group], digest))
            found = [(each.number, each.status, each.digest) for each in versions]
            if found[: len(wanted)] != wanted:
                yield f"{group}: had {shown(wanted)}, has {shown(found)}"
            if (came := tuple(each.status for each in versions[len(wanted) :])) != self.came.get(group, ()):
                yield f"{group}: {came} came, not {self.came.get(group, ())}"

    def _endpoints(self, world: "World", moment: Moment) -> Iterator[str]:
        for environment in {*self.before.endpoints, *moment.endpoints, *self.serves} - set(self.serves):
            was, found = self.before.endpoints.get(environment), moment.endpoints.get(environment)
            if was != found:
                yield f"{environment}: served {was}, serves {found}"
        for environment, wanted in self.serves.items():
            endpoint = moment.endpoints.get(environment)
            if wanted is None or endpoint is None:
                if endpoint is not None or wanted is not None:
                    yield f"{environment}: serves {endpoint}, not {wanted}"
                continue
            approved = [each.number for each in moment.groups[environment] if each.status == "Approved"]
            if [endpoint.number] != approved[-1:]:
                yield f"{environment}: serves version {endpoint.number} where {approved} are approved"
            if endpoint.digest != wanted.digest:
                yield f"{environment}: serves {endpoint.digest}, not {wanted.digest} of {wanted.arn}"
            if endpoint.answers != (answers := world.answers_of(wanted)):
                yield f"{environment}: answers {endpoint.answers}, not {answers} as {wanted.arn} does"
        yield from world.models_that_answer_alike()

    def _jobs(self, moment: Moment) -> Iterator[str]:
        started = sorted(job for job in set(moment.jobs) - set(self.before.jobs) if SCORES not in job)
        if bool(started) != self.trains:
            yield f"jobs that make a model: {started}"

    def _told(self, moment: Moment) -> Iterator[str]:
        lines = {place: list(words) for place, words in self.says.items()}
        for place, (version, *others) in self.reports.items():
            lines.setdefault(place, []).extend(reported(version, *others))
            said, heads = moment.summaries.get(place, ""), {head(run) for run in moment.runs if run.workflow in place}
            if not any(f"the model of `{sha[:12]}` in {environment_of(version)}\n" in said for sha in heads):
                yield f"{place} does not report on one of {heads}"
        for place, words in lines.items():
            said = moment.summaries.get(place, "")
            if missing := [each for each in words if each not in said]:
                yield f"{place} does not say {missing}, but: {said or sorted(moment.summaries)}"


def head(run: Run) -> str:
    """The commit whose model a run is about; of a pull request what was pushed, not what a merge of it would be."""
    pull = run.event.payload.get("pull_request")
    return str(pull["head"]["sha"] if pull else run.event.sha)


def reported(version: Version, *others: Version) -> Iterator[str]:
    """What the report on a version says: which one it is, what it measures, and what that is against other models."""
    value = float(version.metadata[METRIC])
    yield f"**{version.group} version {version.number}**"
    yield f"| roc_auc | {value:.4f} "
    yield f"fingerprint: `{version.metadata['fingerprint'][:12]}`"
    for other in others:
        if other.metadata["fingerprint"] == version.metadata["fingerprint"]:
            yield f"{environment_of(other)} v{other.number} is this model."
            continue
        theirs = float(other.metadata[METRIC])
        yield f" {environment_of(other)} v{other.number} |"
        yield f" {theirs:.4f} ({value - theirs:+.4f}) |"


def environment_of(version: Version) -> str:
    """The environment whose group a version is in."""
    return version.group.rpartition("-")[2]


def shown(versions: list[tuple[int, str, str]]) -> str:
    """Versions for a person whose test failed."""
    return ", ".join(f"{number} {status} {digest[:8]}" for number, status, digest in versions) or "nothing"
