"""The repository's names and the numbers that GitHub never changes."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Repository:
    """A repository on GitHub; its tokens carry the ids, which outlive renames."""

    owner: str
    owner_id: int
    name: str
    id: int
    default_branch: str = "main"

    @property
    def full_name(self) -> str:
        """`owner/name`, as URLs have it."""
        return f"{self.owner}/{self.name}"

    @property
    def subject(self) -> str:
        """`owner@id/name@id`, as OIDC subjects of new repositories have it."""
        return f"{self.owner}@{self.owner_id}/{self.name}@{self.id}"

    def payload(self) -> dict[str, Any]:
        """The part of every event that describes the repository."""
        return {
            "id": self.id,
            "name": self.name,
            "full_name": self.full_name,
            "owner": {"login": self.owner, "id": self.owner_id},
            "private": True,
            "fork": False,
            "default_branch": self.default_branch,
        }
