"""Terraform over `infra/`: what an environment needs is planned, made and removed; its state is in the account."""

import json
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mlops.display import Progress
from mlops.errors import Failure
from mlops.settings.project import FILE, Environment, Settings

FOLDER = "infra"

POLL_SECONDS = 15
"""How often long work says how far it has come."""

HOLD_DATA = ("aws_s3_bucket", "aws_kms_", "aws_dynamodb_table.checks", "aws_ecr_", "aws_secretsmanager_secret")
"""How that is named which holds data, guards it, or is needed to read it: it stays if the data stay."""

GUARDED = ("aws_s3_bucket.", "aws_dynamodb_table.", "aws_ecr_repository.", "aws_secretsmanager_secret.")
"""What AWS deletes only after `delete_data` has been written on it."""

LOST = re.compile(
    r"# ((?:aws_s3_bucket|aws_kms_key|aws_dynamodb_table\.checks|aws_ecr_repository)\b\S*) "
    r"(?:\(deposed object \w+\) )?(?:is tainted, so )?(?:will be des|will be rep|must be)"
)
"""A line of a plan by which data, or what they are read with, would go."""

PROVIDER = "aws_iam_openid_connect_provider.github"

LOCK_FILE = ".terraform.lock.hcl"
"""Which provider was installed; it is found in the folder of the code."""

WAITING = "-lock-timeout=300s"
"""A workflow or an administrator may be at work on the same state: the end of it is waited for."""

UNLOCKED = "-lock=false"
"""A plan that is handed over writes nothing, the lock neither: what has moved since is seen when it is applied."""

LOCK = re.compile(
    r"Error acquiring the state lock.*?Lock Info:.*?ID:\s+(?P<lock>\S+).*?Operation:\s+(?P<operation>\S+)"
    r".*?Who:\s+(?P<who>[^\n]+?)\s*\n.*?Created:\s+(?P<since>[0-9-]+ [0-9:]+)",
    re.DOTALL,
)
"""How Terraform says that somebody else is at the same state."""

STALE = "Saved plan is stale"
"""How Terraform says that the state has changed since it planned."""


@dataclass(frozen=True)
class Changes:
    """What Terraform would do."""

    add: int
    change: int
    destroy: int

    def __str__(self) -> str:
        return f"{self.add} to add, {self.change} to change, {self.destroy} to remove"


def is_there(settings: Settings) -> bool:
    """Whether the project has Terraform code; one made with `infrastructure: none` has other makers."""
    return (settings.root / FOLDER).is_dir()


def values(settings: Settings, environment: Environment) -> Path:
    """The file of an environment's values."""
    return settings.root / FOLDER / "environments" / f"{environment.name}.tfvars"


def prepare(settings: Settings, environment: Environment, bucket: str, told: Progress, *options: str) -> None:
    """Install the provider and connect to the state.

    Args:
        settings: the project.
        environment: whose state.
        bucket: the bucket of the state.
        told: hears how far it has come.
        options: more of `terraform init`.

    Raises:
        Failure: Terraform is missing, or can not.
    """
    given = (
        f"-backend-config=bucket={bucket}",
        f"-backend-config=region={settings.region}",
        f"-backend-config=key={settings.project}/{environment.name}.tfstate",
    )
    run(settings, environment, told, "init", "-reconfigure", *given, *options)


def plan(settings: Settings, environment: Environment, told: Progress, *options: str) -> Changes:
    """What Terraform would do now; it is kept, so that `apply` does this and nothing else.

    Args:
        settings: the project.
        environment: what is planned.
        told: hears how far it has come.
        options: more of `terraform plan`, such as what the environment's values do not say yet.

    Raises:
        Failure: Terraform can not plan, or data would be lost: only `mlops destroy` removes them.
    """
    printed = planned_without_loss(settings, environment, told, *valued(settings, environment), *options)
    found = re.search(r"Plan: (?:\d+ to import, )?(\d+) to add, (\d+) to change, (\d+) to destroy", printed)
    return Changes(*(int(number) for number in found.groups())) if found else Changes(0, 0, 0)


def planned_without_loss(settings: Settings, environment: Environment, told: Progress, *options: str) -> str:
    """What Terraform says of a plan, which is kept.

    Raises:
        Failure: Terraform can not plan, or data would be lost.
    """
    file = planned(settings, environment)
    printed = run(settings, environment, told, "plan", f"-out={file}", *options)
    if lost := LOST.findall(printed):
        file.unlink(missing_ok=True)
        raise Failure(
            f"terraform plan of {environment.name}: {', '.join(lost)} would be removed, and data with it: "
            f"take back what names another one in {FILE}, or move the data and remove it by hand"
        )
    return printed


def shown(settings: Settings, environment: Environment, told: Progress) -> str:
    """What was planned, as Terraform shows it; values that are secret are not in it."""
    return run(settings, environment, told, "show", str(planned(settings, environment))).strip()


def apply(settings: Settings, environment: Environment, told: Progress, *options: str) -> None:
    """Do what was planned.

    Raises:
        Failure: the state has changed since, or AWS refuses something. What was made stays known, and a second run
            carries on.
    """
    try:
        run(settings, environment, told, "apply", *options, str(planned(settings, environment)))
    except Failure as error:
        if STALE not in str(error):
            raise
        raise Failure(
            f"the plan of {environment.name} is of a state that has changed since: nothing was applied; plan again (in "
            "a workflow: run all jobs of the newest run on main again)"
        ) from error


def destroy(settings: Settings, environment: Environment, with_data: bool, with_provider: bool, told: Progress) -> None:
    """Remove what Terraform has made.

    Args:
        settings: the project.
        environment: whose resources.
        with_data: the bucket with all in it and its key go too.
        with_provider: GitHub's identity provider goes too, of which an account has one for all its projects.
        told: hears how far it has come.

    Raises:
        Failure: AWS refuses something; a second run carries on.
    """
    made = resources(settings, environment, told)
    options = valued(settings, environment)
    if not with_data:
        # What stays stays in the state: a bootstrap finds it there, and so does a removal of the data.
        targets = [f"-target={each}" for each in made if not held(each, with_provider)]
        if targets:
            planned_without_loss(settings, environment, told, "-destroy", *options, *targets)
            apply(settings, environment, told)
        return
    if PROVIDER in made and not with_provider:
        run(settings, environment, told, "state", "rm", PROVIDER)
    options = (*options, "-auto-approve", "-var=delete_data=true")
    # A bucket is emptied, and a table unprotected, only when its state says that it may be.
    guarded = [f"-target={each}" for each in made if each.startswith(GUARDED)]
    if guarded:
        run(settings, environment, told, "apply", *options, *guarded)
    run(settings, environment, told, "destroy", *options)


def held(address: str, with_provider: bool) -> bool:
    """Whether a resource stays while the data stay."""
    return address.startswith(HOLD_DATA) or (address == PROVIDER and not with_provider)


def resources(settings: Settings, environment: Environment, told: Progress) -> list[str]:
    """The addresses of everything that an environment's state holds; nothing where there is no state."""
    state = json.loads(run(settings, environment, told, "state", "pull").strip() or "{}")
    return [f"{each['type']}.{each['name']}" for each in state.get("resources", []) if each["mode"] == "managed"]


def valued(settings: Settings, environment: Environment) -> tuple[str, ...]:
    """The options that say for which environment."""
    return (f"-var-file={values(settings, environment)}",)


def planned(settings: Settings, environment: Environment) -> Path:
    """Where an environment's plan is kept."""
    return data(settings, environment) / "plan"


def data(settings: Settings, environment: Environment) -> Path:
    """Terraform's working folder of one environment: in a shared one it would mistake one's state for another's."""
    return settings.root / ".mlops" / "terraform" / environment.name


def run(settings: Settings, environment: Environment, told: Progress, *arguments: str) -> str:
    """Run Terraform to its end and return what it printed.

    Raises:
        Failure: it is not installed, or has failed: its first error in one line.
    """
    variables = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1"}
    variables["TF_DATA_DIR"] = str(data(settings, environment))
    data(settings, environment).mkdir(parents=True, exist_ok=True)
    verb, options = arguments[:1], arguments[1:]
    if verb[0] == "state":
        verb, options = arguments[:2], arguments[2:]
    asks = {"state": (), "show": ("-no-color",)}.get(verb[0], ("-input=false", "-no-color"))
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        try:
            process = subprocess.Popen(
                ["terraform", *verb, *asks, *options], cwd=settings.root / FOLDER, env=variables,
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, process_group=0,
            )  # fmt: skip
        except OSError as error:
            raise Failure(f"terraform is not there ({error}); install it: developer.hashicorp.com/terraform") from error
        code, interrupted = waited_for(process, lambda seconds: told(progress(environment, arguments[0], seconds)))
        log.seek(0)
        printed = log.read()
    if interrupted:
        raise KeyboardInterrupt
    if code and (held_by := LOCK.search(printed)):
        raise Failure(locked(settings, environment, **held_by.groupdict()))
    if code:
        raise Failure(f"terraform {arguments[0]} of {environment.name}: {first_error(printed)}")
    return printed


def locked(settings: Settings, environment: Environment, lock: str, operation: str, who: str, since: str) -> str:
    """Who holds the lock of a state, and how it is taken off when they are no more: nobody else can know that."""
    folder = f"../{data(settings, environment).relative_to(settings.root).as_posix()}"
    return (
        f"the state of {environment.name} is locked by {who} since {since} ({operation}); when nobody is at it, for "
        f"a machine broke down: TF_DATA_DIR={folder} terraform -chdir={FOLDER} force-unlock -force {lock}"
    )


def progress(environment: Environment, verb: str, seconds: float) -> str:
    """What is being waited for."""
    return f"terraform {verb} of {environment.name}: {seconds:.0f} s"


def waited_for(process: subprocess.Popen[bytes], told: Callable[[float], None]) -> tuple[int, bool]:
    """The exit code of Terraform, and whether somebody interrupted.

    Terraform ends what it has begun, saves its state and lets go of its lock: it is waited for, never killed. It hears
    of an interruption once, from here: a terminal tells all processes, GitHub only the first, and a second word would
    make Terraform drop everything.
    """
    start, interrupted = time.monotonic(), False
    while True:
        try:
            return process.wait(timeout=POLL_SECONDS), interrupted
        except subprocess.TimeoutExpired:
            told(time.monotonic() - start)
        except KeyboardInterrupt:
            if not interrupted:
                process.send_signal(signal.SIGINT)
            interrupted = True


def first_error(printed: str) -> str:
    """The first error that Terraform printed, in one line without its frame."""
    _, _, after = printed.partition("Error: ")
    text = after or printed[-500:]
    lines = [line.strip(" │╵╷") for line in text.splitlines()]
    ends = [position for position, line in enumerate(lines) if "Error: " in line]
    return " ".join(" ".join(lines[: ends[0] if ends else 12]).split())[:600]
