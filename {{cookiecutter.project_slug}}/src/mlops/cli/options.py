"""What several commands share: their options, and the project that they work on."""

from typing import TYPE_CHECKING, Annotated

import typer

from mlops.errors import BadInput

if TYPE_CHECKING:
    from mlops.settings.project import Environment, Settings

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON.")]
EnvironmentOption = Annotated[str, typer.Option("--env", metavar="NAME", help="An environment of mlops.yaml.")]
VersionOption = Annotated[int | None, typer.Option("--version", min=1, help="A version; the newest when not given.")]
GroupOption = Annotated[
    str | None,
    typer.Option("--group", help="champion or challenger, in the advanced scenario; the champion when not given."),
]


def connected(warm: bool = False) -> "Settings":
    """The project of this folder, with this process pointed at its AWS; see `opened`."""
    from mlops.laptop import sandbox
    from mlops.settings import project as settings

    project = settings.load()
    sandbox.connect(project, warm)
    return project


def opened(
    environment: str, warm: bool = False, group: str | None = None, serves: bool | None = None
) -> "tuple[Settings, Environment]":
    """The project of this folder and one of its environments, with this process pointed at its AWS.

    Args:
        environment: its name in mlops.yaml.
        warm: the command asks endpoints, so a sandbox prepares for them.
        group: as whose the environment is meant, the champion's or the challenger's.
        serves: whether it has to be one that serves, and not the first, which trains; None takes any.
    """
    from mlops.laptop import sandbox

    project, chosen = meant(environment, group, serves)
    sandbox.connect(project, warm)
    return project, chosen


def meant(environment: str, group: str | None, serves: bool | None = None) -> "tuple[Settings, Environment]":
    """The same without AWS, which a command that may yet be refused has no use for.

    Raises:
        BadInput: there is no such environment or group, or it has no such duty.
    """
    from mlops.settings import project as settings

    project = settings.load()
    chosen = project.environment(environment)
    first = project.before(chosen) is None
    if serves and first:
        others = " or ".join(each.name for each in project.environments[1:])
        raise BadInput(f"--env is {chosen.name}, where models are trained and none serves; give {others}")
    if serves is False and not first:
        raise BadInput(f"--env is {chosen.name}; models are trained in {project.environments[0].name}: give that")
    return project, chosen.contender(group)
