"""Commands by which workflows change the infrastructure: plan it for all to see, apply what was approved."""

from typing import Annotated

import typer

from mlops import display
from mlops.cli.options import EnvironmentOption, JsonFlag

commands = typer.Typer(help="Plan and apply infra/, as its workflow does.", no_args_is_help=True, rich_markup_mode=None)


@commands.command("plan")
def plan(
    env: EnvironmentOption = "feature",
    approval: Annotated[str, typer.Option(help="registry when GitHub asks nobody, as MLOPS_APPROVAL says.")] = "",
    json: JsonFlag = False,
) -> None:
    """Plan an environment: in the summary, and on its pull request. Example: mlops infra plan --env dev"""
    from mlops import github
    from mlops.errors import Failure
    from mlops.settings import project as settings
    from mlops.setup import environments, handover

    project = settings.load()
    environment = project.environment(env)
    asks = approval != environments.REGISTRY
    try:
        planned = handover.plan(project, environment, asks, display.progress)
    except Failure as error:
        text = handover.refused(environment, str(error))
        github.summary(text)
        handover.publish(environment, text, some=True)
        raise
    github.summary(planned.markdown(handover.SUMMARY_LIMIT))
    for address in handover.publish(environment, planned.markdown(handover.COMMENT_LIMIT), planned.some):
        display.progress(f"plan: {address}")
    display.write_outputs(planned.outputs())
    display.show(planned, planned.markdown(), json)


@commands.command("apply")
def apply(env: EnvironmentOption = "feature", json: JsonFlag = False) -> None:
    """Apply the plan that a workflow has made, once it is approved. Example: mlops infra apply --env dev"""
    from mlops import github
    from mlops.settings import project as settings
    from mlops.setup import handover

    project = settings.load()
    environment = project.environment(env)
    review = handover.apply(project, environment, display.progress)
    sentence = f"infrastructure of {environment.name}: applied as planned, approved by {review.who}: {review.why}"
    github.summary(f"### {sentence}\n")
    display.show(review, sentence, json)
