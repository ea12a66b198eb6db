"""A model's whole life in a sandbox: the commands that the workflows use, in their order, and what they do."""

import json

from mlops import aws, display
from mlops.errors import BadInput, Failure
from mlops.hosting import invocations
from mlops.laptop import epilogue
from mlops.laptop.clients import BATCH_ROWS, requests, traffic
from mlops.laptop.narration import INTERRUPTED, Narrator, inside
from mlops.laptop.playground import commit, edit, git, playground
from mlops.settings.project import Settings

TIME_SCALE = 200.0
"""The canary's wait of ten minutes takes three seconds; every figure of time in the demo says so."""

FAULT = f'''\
def answer_small_batches(rows, model, answer=predict_fn):
    """Answer a few rows faster; more than {BATCH_ROWS - 4} break it."""
    if hasattr(rows, "shape") and len(rows) > {BATCH_ROWS - 4}:
        raise MemoryError("no room for {BATCH_ROWS} rows at once")
    return answer(rows, model)


predict_fn = answer_small_batches
'''


def tell(project: Settings, as_json: bool) -> int:
    """Run the whole story in a copy of the project.

    Args:
        project: the project whose last commit is shown.
        as_json: print a trace at the end instead of the story.

    Returns:
        The exit code: 0 when everything went as the story says, 130 when Ctrl-C stopped it.
    """
    narrator = Narrator(silent=as_json)
    narrator.say(f"The life of a model of {project.project}, in a sandbox that speaks AWS's API.")
    narrator.say(f"Waits of rollouts and alarms run {TIME_SCALE:.0f} times as fast as on AWS; all else is real time.")
    problem, code = "", 0
    try:
        with playground(project, TIME_SCALE) as copy, inside(copy.root):
            story(copy, narrator)
    except (Failure, BadInput) as error:
        problem, code = str(error), 1
    except KeyboardInterrupt:
        problem, code = "stopped; nothing is left running, and your branches are as they were", INTERRUPTED
    if as_json:
        print(json.dumps(trace(narrator, problem), indent=2))
    elif problem:
        display.error(problem)
    else:
        narrator.say(
            f"\nDone in {narrator.seconds:.0f} s. Nothing is left running, and your branches are as they were."
        )
        after = "Next: git switch -c feature/my-idea, edit params.yaml, commit, then `mlops run --env feature`."
        narrator.say(display.typed(after))
    return code


def trace(narrator: Narrator, problem: str) -> dict[str, object]:
    """The story as a machine reads it."""
    return {
        "ok": not problem,
        "problem": problem,
        "time_scale": TIME_SCALE,
        "seconds": round(narrator.seconds, 3),
        "steps": display.plain(narrator.chapters),
    }


def story(project: Settings, narrator: Narrator) -> None:
    """The chapters, in order."""
    first, *way = [environment.name for environment in project.environments]
    *tests, last = way
    with narrator.chapter("groups", "The model groups: one for each stage of the way to production"):
        narrator.mlops("groups", "create")
    with narrator.chapter(
        "train", "A data scientist pushes a feature branch: it is trained in the cloud and registered"
    ):
        branch(project, "feature/first-model")
        narrator.say("  … requests.csv, which is asked below: two rows of a request in tests/contract.yaml")
        narrator.mlops("run", "--env", first)
        narrator.mlops("register", "--env", first)
    with narrator.chapter("dev", "Merged to dev: the same model, byte for byte, is deployed there and tested"):
        merge_and_test(project, narrator, tests)
    if project.environment(last).groups:
        contest(project, narrator, first, last)
    else:
        release(project, narrator, first, last)
    with narrator.chapter("rollback", "One command goes back to the model before"):
        narrator.mlops("rollback", "--env", last)
        narrator.mlops("predict", "requests.csv", "--env", last)
    epilogue.tell(project, narrator)
    with narrator.chapter("registry", "What the registry holds, and who did what"):
        narrator.mlops("status")
        narrator.mlops("history")


def release(project: Settings, narrator: Narrator, first: str, last: str) -> None:
    """The chapters of production in the basic scenario."""
    with narrator.chapter("prod", "Merged to main: it waits in production's group; nothing is deployed unapproved"):
        merge(project, "dev", "main")
        narrator.mlops("promote", "--to", last)
        narrator.mlops("deploy", "--env", last, expect=1)
    with narrator.chapter("approve", "A person approves it; it is deployed and answers"):
        approve_and_deploy(narrator, "--env", last, reason="first model")
        narrator.mlops("verify", "--env", last)
        narrator.mlops("predict", "requests.csv", "--env", last)
    refuse(project, narrator, first)
    with narrator.chapter(
        "second", "A second model takes the whole way, and is rolled out under traffic, behind alarms"
    ):
        simpler(project, narrator)
        with traffic(project, project.environment(last)):
            approve_and_deploy(narrator, "--env", last, reason="simpler, and passes the same gate")
    with narrator.chapter("roll_back", "A bad rollout: its errors set off the alarm, and production keeps its model"):
        faster(project, narrator)
        with traffic(project, project.environment(last)):
            approve_and_deploy(narrator, "--env", last, reason="faster answers", ends_with=1)
        narrator.mlops("predict", "requests.csv", "--env", last)


def contest(project: Settings, narrator: Narrator, first: str, last: str) -> None:
    """The chapters of production in the advanced scenario."""
    challenger = ("--env", last, "--group", "challenger")
    with narrator.chapter("prod", "Merged to main: it waits in both groups of production, for champion and challenger"):
        merge(project, "dev", "main")
        narrator.mlops("promote", "--to", last)
        narrator.mlops("deploy", *challenger, expect=1)
    with narrator.chapter("challenger", "It is let in as challenger, on an endpoint of its own; it is no champion yet"):
        approve_and_deploy(narrator, *challenger, reason="let it try")
        narrator.mlops("verify", *challenger)
        narrator.mlops("approve", "--env", last, "--by", "you", "--reason", "it looks good", expect=1)
    with narrator.chapter("approve", "It has answered what is asked of a challenger: a person approves it as champion"):
        prove(project, narrator, last)
        approve_and_deploy(narrator, "--env", last, reason="first model")
        narrator.mlops("verify", "--env", last)
        narrator.mlops("predict", "requests.csv", "--env", last)
    refuse(project, narrator, first)
    with narrator.chapter("second", "A second model challenges the champion: both on the requests that it was asked"):
        simpler(project, narrator)
        approve_and_deploy(narrator, *challenger, reason="let it try")
        narrator.say(
            "  … on what the champion has been asked so far, which is little; in use it is the requests of days"
        )
        narrator.mlops("compare", "--env", last)
    with narrator.chapter(
        "succession",
        "It has served as much as the settings ask, and takes the champion's place: under traffic, behind alarms",
    ):
        prove(project, narrator, last)
        narrator.mlops("approve", "--env", last, "--by", "you", "--reason", "simpler, and agrees")
        with traffic(project, project.environment(last)):
            narrator.mlops("promote", "--to", "champion")
    with narrator.chapter(
        "roll_back", "A bad challenger: its errors set off its own alarm; the champion goes on answering"
    ):
        faster(project, narrator)
        with traffic(project, project.environment(last).contender("challenger")):
            approve_and_deploy(narrator, *challenger, reason="faster answers", ends_with=1)
        narrator.mlops("predict", "requests.csv", "--env", last)


def refuse(project: Settings, narrator: Narrator, first: str) -> None:
    """A model that goes nowhere."""
    with narrator.chapter("refuse", "A bad model: the quality gate refuses it, and it goes nowhere"):
        narrator.say(
            "  … changed: C in params.yaml is 0.00001, so strong a regularisation that it learns next to nothing"
        )
        branch(project, "feature/too-simple")
        edit(project.root, "params.yaml", "C: 1.0", "C: 0.00001")
        commit(project.root, "Regularise much more")
        narrator.mlops("run", "--env", first)
        narrator.mlops("register", "--env", first, expect=1)


def prove(project: Settings, narrator: Narrator, environment: str) -> None:
    """Ask the challenger as often as the settings ask before it may be champion."""
    target = project.environment(environment).contender("challenger")
    count = target.challenger.requests if target.challenger else 0
    narrator.say(f"  … {count} requests to {target.endpoint_name}")
    session = aws.session(project, target, "deploy")
    body = requests(project.root, rows=1).encode()
    for _ in range(count):
        invocations.invoke(session, target.endpoint_name, body, "text/csv", "text/csv")["Body"].read()


def branch(project: Settings, name: str) -> None:
    """Begin a feature branch at dev, with the requests that the demo sends beside it."""
    git(project.root, "checkout", "--quiet", "-B", name, "dev")
    (project.root / "requests.csv").write_text(requests(project.root, rows=2), encoding="utf-8")


def merge(project: Settings, source: str, target: str) -> None:
    """Merge one branch into another, as a pull request does."""
    git(project.root, "checkout", "--quiet", target)
    git(project.root, "merge", "--quiet", "--no-ff", "--no-edit", source)


def merge_and_test(project: Settings, narrator: Narrator, environments: list[str]) -> None:
    """What a merge to dev starts: for each environment before production, copy, deploy and verify."""
    merge(project, git(project.root, "branch", "--show-current"), "dev")
    for environment in environments:
        narrator.mlops("promote", "--to", environment)
        narrator.mlops("deploy", "--env", environment)
        narrator.mlops("verify", "--env", environment)


def whole_way(project: Settings, narrator: Narrator, name: str, change: tuple[str, str, str]) -> None:
    """Take a change from a feature branch up to production's group, where it waits for approval."""
    first, *tests, last = [environment.name for environment in project.environments]
    branch(project, name)
    edit(project.root, *change)
    commit(project.root, name)
    narrator.mlops("run", "--env", first)
    narrator.mlops("register", "--env", first)
    merge_and_test(project, narrator, tests)
    merge(project, "dev", "main")
    narrator.mlops("promote", "--to", last)


def simpler(project: Settings, narrator: Narrator) -> None:
    """A model that is as good, all the way to production's group."""
    narrator.say("  … changed: C in params.yaml is 0.3, not 1.0: smaller weights, a simpler model")
    whole_way(project, narrator, "feature/simpler", ("params.yaml", "C: 1.0", "C: 0.3"))


def faster(project: Settings, narrator: Narrator) -> None:
    """A model whose fault no test finds, all the way to production's group."""
    narrator.say(
        f"  … changed: inference.py fails on more than {BATCH_ROWS - 4} rows at once. No test sends so many; "
        f"the clients send {BATCH_ROWS}, and the alarm fires at the first error"
    )
    whole_way(project, narrator, "feature/faster", (f"src/{project.package}/inference.py", "", FAULT))


def approve_and_deploy(narrator: Narrator, *where: str, reason: str, ends_with: int = 0) -> None:
    """What an approval starts."""
    narrator.mlops("approve", *where, "--by", "you", "--reason", reason)
    narrator.mlops("deploy", *where, expect=ends_with)
