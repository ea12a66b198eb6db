"""Commands that set a project up outside its folder: make what it needs, examine it, remove it."""

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mlops import display
from mlops.cli.options import JsonFlag
from mlops.errors import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from mlops.setup.health import Check
    from mlops.setup.plan import Step

app = typer.Typer()
bootstrap_commands = typer.Typer(
    help="Make what the project needs on GitHub and in AWS.", no_args_is_help=True, rich_markup_mode=None
)

Side = Literal["tools", "aws", "github"]
OnlyOption = Annotated[Side | None, typer.Option("--only", help="Only this side.")]
PlanFlag = Annotated[bool, typer.Option("--plan", help="Show what would be done, and do nothing.")]
YesFlag = Annotated[bool, typer.Option("--yes", help="Do it without asking.")]
AdoptFlag = Annotated[
    bool, typer.Option("--adopt", help="Take over what is there already and not the project's own: change it too.")
]
EnvironmentsOption = Annotated[
    list[str] | None,
    typer.Option("--env", metavar="NAME", help="An environment; may be repeated. All of the account when not given."),
]


def carry_out(steps: "Sequence[Step]", only_plan: bool, yes: bool, as_json: bool) -> None:
    """Show a plan, ask, and do it.

    Raises:
        BadInput: there is nobody to ask.
        Failure: something could not be had.
    """
    from mlops.setup import plan

    todo = plan.left_to_do(steps)
    if only_plan:
        display.show(plan.planned(steps), plan.shown(steps), as_json)
        return
    if not as_json:
        print(plan.shown(steps), flush=True)
    if todo and not plan.agreed(f"Do these {len(todo)} things?", yes):
        raise Failure("nothing was done")
    outcomes = plan.carried_out(steps, display.progress)
    short = [each for each in outcomes if not each.done]
    display.show(outcomes, plan.summary(outcomes), as_json)
    if short:
        raise Failure("\n".join(f"{each.what}: {each.said or f'left alone: {each.detail}'}" for each in short))


@bootstrap_commands.command("github")
def bootstrap_github(
    reviewer: Annotated[
        list[str] | None,
        typer.Option(
            "--reviewer", metavar="NAME", help="Who approves for production: LOGIN or ORG/TEAM; may be repeated."
        ),
    ] = None,
    registry: Annotated[bool, typer.Option("--registry", help="Approve in the registry, not on GitHub.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Make the repository public.")] = False,
    approvals: Annotated[
        int | None, typer.Option("--approvals", min=0, max=10, help="Reviews that a pull request needs; 1 at first.")
    ] = None,
    adopt: AdoptFlag = False,
    only_plan: PlanFlag = False,
    yes: YesFlag = False,
    json: JsonFlag = False,
) -> None:
    """Make the repository, its environments and its rules. Example: mlops bootstrap github --reviewer mira"""
    from mlops.settings import project as settings
    from mlops.setup import github

    wishes = github.Wishes(
        reviewers=tuple(reviewer or ()), registry=registry, public=public, approvals=approvals, adopt=adopt
    )
    carry_out(github.steps(settings.load(), wishes), only_plan, yes, json)


@bootstrap_commands.command("aws")
def bootstrap_aws(
    env: EnvironmentsOption = None, only_plan: PlanFlag = False, yes: YesFlag = False, json: JsonFlag = False
) -> None:
    """Make buckets, keys, roles, alarms, model groups; push the data. Example: mlops bootstrap aws --env dev"""
    from mlops.settings import project as settings
    from mlops.setup import account

    carry_out(account.steps(settings.load(), env or (), display.progress), only_plan, yes, json)


@bootstrap_commands.command("app")
def bootstrap_app(
    profile: Annotated[
        list[str] | None,
        typer.Option(
            "--profile", metavar="NAME", help="ACCOUNT=PROFILE, for an account that the credentials are not of."
        ),
    ] = None,
    only_plan: PlanFlag = False,
    yes: YesFlag = False,
    json: JsonFlag = False,
) -> None:
    """Make the GitHub App by which AWS starts workflows, in a browser. Example: mlops bootstrap app"""
    from mlops.settings import project as settings
    from mlops.setup import app as github_app

    carry_out(github_app.steps(settings.load(), profile or (), display.progress), only_plan, yes, json)


@app.command()
def doctor(
    side: OnlyOption = None,
    env: EnvironmentsOption = None,
    online: Annotated[bool, typer.Option("--online", help="Also whether newer actions are out.")] = False,
    json: JsonFlag = False,
) -> None:
    """Examine all that the project needs: pass, or fail with the fix. Example: mlops doctor"""
    from mlops.settings import project as settings
    from mlops.setup import account, github, health, tools
    from mlops.setup import app as github_app

    project = settings.load()
    sides: dict[Side, Callable[[], list[Check]]] = {
        "tools": lambda: tools.checks(project),
        "aws": lambda: [*account.checks(project, env or ()), *github_app.checks(project)],
        "github": lambda: github.checks(project, online),
    }
    checks = [check for name, look in sides.items() if side in (None, name) for check in look()]
    display.show(checks, health.shown(checks), json)
    if any(not check.passed and not check.skipped for check in checks):
        raise typer.Exit(1)


@app.command()
def destroy(
    repository: Annotated[
        bool, typer.Option("--repository", help="Also the repository, with all its history.")
    ] = False,
    side: Annotated[Literal["aws", "github"] | None, typer.Option("--only", help="Only this side.")] = None,
    data: Annotated[bool, typer.Option("--data", help="Also the buckets, with all that is in them.")] = False,
    confirm: Annotated[str, typer.Option("--confirm", help="The project's name, so that no slip removes it.")] = "",
    only_plan: PlanFlag = False,
    json: JsonFlag = False,
) -> None:
    """List what the project owns outside its folder, ask, remove it. Example: mlops destroy --plan"""
    from mlops.settings import project as settings
    from mlops.setup import github, inventory, removal

    project = settings.load()
    if confirm:
        removal.confirmed(project, confirm)
    belongings: list[removal.Belonging] = []
    if side in (None, "aws"):
        belongings += inventory.belongings(project, data, display.progress)
    if side == "github" or (side is None and project.repository):
        belongings += github.belongings(project, repository)
    if only_plan:
        display.show(removal.planned(belongings), removal.shown(belongings), json)
        return
    if not json:
        print(removal.shown(belongings), flush=True)
    if not confirm:
        removal.confirmed(project, "")
    result = removal.carried_out(belongings, display.progress)
    left = [each for each in result if not each.removed]
    said = "".join(f"\n  left: {each.what}{f' ({each.stays})' if each.stays else ''}" for each in left)
    display.show(result, f"removed: {len(result) - len(left)} things{said}", json)
