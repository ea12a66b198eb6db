"""What has been started up to a moment, and how the registry and the endpoints stand then."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.runs import Run


@dataclass(frozen=True)
class Version:
    """A version of a model group, as the registry describes it."""

    number: int
    status: str
    arn: str
    reason: str
    artefact: str
    metadata: Mapping[str, str]

    @property
    def digest(self) -> str:
        """SHA-256 of its artefact, as registered."""
        return self.metadata["digest"]

    @property
    def group(self) -> str:
        """The model group that it is in."""
        return self.arn.split("/")[-2]

    @property
    def account(self) -> str:
        """The account of that group."""
        return self.arn.split(":")[4]


@dataclass(frozen=True)
class Endpoint:
    """What an endpoint has of the registry, and what it answers to known rows."""

    number: int
    digest: str
    answers: tuple[float, ...]


@dataclass(frozen=True)
class Moment:
    """What a deed has started, and how things stand after it.

    Args:
        summaries: by `workflow.yml job`, what its jobs have written to their summaries by then.
    """

    runs: list[Run]
    groups: dict[str, list[Version]]
    endpoints: dict[str, Endpoint]
    jobs: list[str]
    summaries: dict[str, str]
    seconds: float
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def serving(self) -> dict[str, str]:
        """By environment, the digest of the model that its endpoint serves."""
        return {name: each.digest for name, each in self.endpoints.items()}

    def run(self, workflow: str) -> Run:
        """The one run of a workflow."""
        [found] = [run for run in self.runs if run.workflow == workflow]
        return found

    def told(self) -> str:
        """What all runs did, for a person whose test failed."""
        return "\n".join(run.told() for run in self.runs)

    def newest(self, group: str) -> Version:
        """The newest version of a group."""
        return self.groups[group][-1]


def version_of(described: Mapping[str, Any]) -> Version:
    """A version as the service describes it."""
    [container] = described["InferenceSpecification"]["Containers"]
    return Version(
        described["ModelPackageVersion"],
        described["ModelApprovalStatus"],
        described["ModelPackageArn"],
        described.get("ApprovalDescription", ""),
        container["ModelDataUrl"],
        described.get("CustomerMetadataProperties", {}),
    )
