"""Who may hold the role that approves: workflows only where GitHub asks reviewers first, else people alone."""

from mlops import rest
from mlops.errors import BadInput, Failure
from mlops.settings.project import Environment, Settings
from mlops.setup import environments, repository, tfvars
from mlops.setup.plan import Step

APPROVES = "workflow_approves"
"""The value without which no workflow takes the approving role on: true unless it says false."""

NOBODY = [f"-var={APPROVES}=false"]
"""What Terraform is told where nobody is asked, whatever the value says."""


def by_workflow(settings: Settings, environment: Environment) -> bool:
    """Whether the values of an environment's infrastructure let workflows approve."""
    return tfvars.value(tfvars.text_of(settings, environment), APPROVES) != "false"


def asks(settings: Settings, environment: Environment) -> bool | None:
    """Whether GitHub asks somebody in each of an environment's approval gates; None when GitHub can not be asked."""
    try:
        place = repository.of(settings)
        gates = environments.approval_gates(settings, environment)
        return all((environments.rules(place, gate) or environments.NO_RULES).reviewers for gate in gates)
    except (BadInput, Failure, rest.Refused):
        return None


def steps(settings: Settings, environment: Environment, asked: bool | None) -> list[Step]:
    """The step that keeps the approving role from workflows where GitHub would ask nobody.

    Args:
        settings: the project.
        environment: whose approvals.
        asked: what `asks` says.

    Returns:
        Nothing where no person has to approve: whoever deploys may approve there too.
    """
    if environment.approval != "manual":
        return []
    where = f"{tfvars.place(settings, environment)}: {APPROVES}"
    given = tfvars.value(tfvars.text_of(settings, environment), APPROVES)
    gates = " and ".join(environments.approval_gates(settings, environment))
    if asked is False and given is None:

        def act() -> str:
            tfvars.write(settings, environment, APPROVES, "false")
            return "commit it"

        return [
            Step(where, "make", f"false: GitHub asks nobody in {gates}, so versions are approved in the registry", act)
        ]
    if asked is False and given != "false":
        why = f"is {given}, and GitHub asks nobody in {gates}: `mlops bootstrap github --reviewer`"
        return [Step(where, "leave", f"{why}; until then no workflow may approve")]
    if given == "false" and asked:
        return [
            Step(
                where,
                "keep",
                f"false; GitHub asks people in {gates} by now: take the line out to let workflows approve",
            )
        ]
    return [Step(where, "keep", given or "not set: workflows approve what GitHub's reviewers have agreed to")]


def ahead_of(found: list[Step]) -> list[str]:
    """As options of a plan: what this step writes, or does not let the values say."""
    return NOBODY if any(each.deed in ("make", "leave") for each in found) else []
