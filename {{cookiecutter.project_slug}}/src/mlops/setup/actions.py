"""Settings of GitHub Actions: what a workflow's token may do, and whom its identity token names to AWS."""

from typing import Any

from mlops import rest
from mlops.setup.plan import Step, Unavailable, deed
from mlops.setup.repository import Repository

TOKEN = "actions/permissions/workflow"
SUBJECT = "actions/oidc/customization/sub"


def steps(repository: Repository, there: bool, own: bool) -> list[Step]:
    """The steps that set them.

    Args:
        repository: whose they are.
        there: whether it is there already.
        own: whether the bootstrap has made it.
    """
    return [token(repository, there, own), subject(repository, there, own)]


def token(repository: Repository, there: bool, own: bool) -> Step:
    """Workflows that ask for nothing may only read."""
    now = repository.ask("GET", TOKEN) if there else {"default_workflow_permissions": "read"}
    right = there and now["default_workflow_permissions"] == "read"

    def act() -> None:
        try:
            repository.ask("PUT", TOKEN, {"default_workflow_permissions": "read"})
        except rest.Refused as error:
            if error.status == 409:
                raise Unavailable(f"{error}; the organisation decides it") from error
            raise

    # Left to people: a workflow that may open pull requests may approve them too, its author's own.
    opens = "open pull requests and approve them"
    if not now.get("can_approve_pull_request_reviews"):
        opens = "not open pull requests: a person opens those of retrain"
    detail = f"may {now['default_workflow_permissions']}; may {opens}"
    return Step("token of workflows", deed(there, right, own), detail, act)


def subject(repository: Repository, there: bool, own: bool) -> Step:
    """The identity token has GitHub's numbers in its subject: a name can be given to others, a number can not."""
    now = repository.ask("GET", SUBJECT) if there else {}
    right = there and has_numbers(now)

    def act() -> str:
        if not has_numbers(repository.ask("GET", SUBJECT)):
            repository.ask("PUT", SUBJECT, {"use_default": True, "use_immutable_subject": True})
        return f'infra: github_repository = "{trusted(repository)}"'

    detail = f"{prefix(repository, now)}:environment:NAME" if there else "repo:OWNER@ID/NAME@ID:environment:NAME"
    return Step("subject of identity tokens", deed(there, right, own), detail, act)


def has_numbers(customization: dict[str, Any]) -> bool:
    """Whether subjects have the form that the roles trust."""
    given = str(customization.get("sub_claim_prefix") or "")
    return bool(customization["use_default"]) and ("@" in given or customization.get("use_immutable_subject") is True)


def prefix(repository: Repository, customization: dict[str, Any]) -> str:
    """What a subject begins with, as GitHub says it; of one that does not say it, by its rules."""
    if given := customization.get("sub_claim_prefix"):
        return str(given)
    if not customization.get("use_immutable_subject"):
        return f"repo:{repository.full_name}"
    found = repository.ask("GET", "")
    return f"repo:{found['owner']['login']}@{found['owner']['id']}/{found['name']}@{found['id']}"


def trusted(repository: Repository) -> str:
    """The repository as GitHub names it to AWS: OWNER@OWNER_ID/NAME@ID, what roles have to trust."""
    return prefix(repository, repository.ask("GET", SUBJECT)).removeprefix("repo:")
