"""Makes a rendered project ready for work: data tracked, dependencies locked, branches, model groups.

Nothing here may cost the user's answers: what can not be done now is named, with the one command that finishes it,
and the hook ends well. Run again over a finished project it changes nothing.

MLOPS_TEMPLATE_OFFLINE=1 leaves out what needs the network (the lock file and the model groups), for machines behind
a wall and for tests.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

# `tojson` escapes apostrophes, so that no answer can end this string: it stays text until it is parsed.
ANSWERS = r'''{{ cookiecutter | tojson }}'''  # fmt: skip

Answers = dict[str, str]
# Also named in cookiecutter.json's _copy_without_render: their bytes are no templates.
CACHES = ("__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".sandbox", ".mlops", ".venv")
LOCK_SECONDS = 1200
GROUPS_SECONDS = 300
FIRST_COMMIT = "Start from the template"


@dataclass(frozen=True)
class Problem:
    """What is not done, why, and the command that does it."""

    what: str
    why: str
    command: str


def run(*command: str, seconds: float = 60) -> str:
    """Run a command in the project, free of the environment that this hook runs in, and return what it printed.

    Raises:
        subprocess.SubprocessError: it failed or took longer than `seconds`.
        OSError: there is no such program.
    """
    foreign = ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME", "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE")
    environment = {name: value for name, value in os.environ.items() if name not in foreign}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=True,
        text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    return done.stdout.strip()


def reason(error: Exception) -> str:
    """The line of a failed command that says why."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = [line.strip() for line in (error.stderr or error.stdout or "").splitlines() if line.strip()]
        telling = [line for line in lines if re.match(r"(error|fatal|\u00d7|\u2717)", line, re.IGNORECASE)]
        return (telling or lines or [f"exit code {error.returncode}"])[0 if telling else -1]
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer after {error.timeout:.0f} s"
    return str(error)


def say(text: str) -> None:
    """Print, unless nobody reads any more: a hook that fails there would cost the project."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115


def uv() -> str | None:
    """The uv that started this hook, or the one on PATH."""
    return os.environ.get("UV") or shutil.which("uv")


def offline() -> bool:
    """Whether the user asked for a project without what needs the network."""
    return os.environ.get("MLOPS_TEMPLATE_OFFLINE", "") not in ("", "0")


def compared_by_cruft(answers: Answers, folder: Path) -> bool:
    """Whether cruft renders the template again, in a temporary folder, to compare it with a project.

    It runs the hooks there too (once in `diff`, twice in `update`); only the files are wanted.
    """
    temporary = Path(tempfile.gettempdir()).resolve()
    name = re.fullmatch(r"tmp[a-z0-9_]{8}", folder.parent.name)
    return "_commit" in answers and name is not None and folder.parent.parent.resolve() == temporary


def without_caches(answers: Answers) -> Problem | None:
    """Remove what tools left in the template's folder, which cookiecutter copies like anything else."""
    if Path(".git").exists():
        return None  # a project that was finished before: its caches are its own
    for name in CACHES:
        for cache in list(Path().rglob(name)):
            shutil.rmtree(cache, ignore_errors=True)
    return None


def without_infrastructure(answers: Answers) -> Problem | None:
    """Leave Terraform and Lambdas out where a platform team has its own; docs/infrastructure.md is the contract."""
    if answers["infrastructure"] == "none" and not Path(".git").exists():
        for folder in ("infra", "lambdas"):
            shutil.rmtree(folder, ignore_errors=True)
        for workflow in ("infra.yml", "_infra.yml"):
            Path(".github/workflows", workflow).unlink(missing_ok=True)
    return None


def tracked_data(answers: Answers) -> Problem | None:
    """Do what `dvc add data/raw` does: the files into DVC's cache, their hash into git.

    Written by hand, because a project must come out whole without DVC installed, and in a tenth of a second.
    """
    raw, pointer = Path("data/raw"), Path("data/raw.dvc")
    if pointer.exists() or not raw.is_dir():
        return None
    files = sorted(path for path in raw.rglob("*") if path.is_file())
    listed = [{"md5": cached(path.read_bytes()), "relpath": path.relative_to(raw).as_posix()} for path in files]
    listed.sort(key=lambda entry: entry["relpath"])
    folder = cached(json.dumps(listed, sort_keys=True).encode(), ".dir")
    size = sum(path.stat().st_size for path in files)
    fields = f"- md5: {folder}\n  size: {size}\n  nfiles: {len(files)}\n  hash: md5\n  path: raw\n"
    pointer.write_text(f"outs:\n{fields}", encoding="utf-8", newline="\n")
    Path("data/.gitignore").write_text("/raw\n", encoding="utf-8", newline="\n")
    count = "1 file" if len(files) == 1 else f"{len(files)} files"
    say(f"  data/raw is tracked by DVC ({count}, version {folder[:8]})")
    return None


def cached(content: bytes, suffix: str = "") -> str:
    """Put a file's content into DVC's cache, read-only as DVC does, and return its name there."""
    digest = hashlib.md5(content, usedforsecurity=False).hexdigest() + suffix
    place = Path(".dvc/cache/files/md5") / digest[:2] / digest[2:]
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        place.chmod(0o444)
    return digest


def locked_dependencies(answers: Answers) -> Problem | None:
    """Lock the dependencies, and install them when the model groups are to be made now."""
    if Path("uv.lock").exists():
        return None
    verb = "lock" if answers["model_groups"] == "later" else "sync"
    command = f"uv {verb}"
    if shutil.which("git"):
        command += f" && git add uv.lock && git commit -q --amend -m {shlex.quote(FIRST_COMMIT)} && git branch -f dev"
    what = "the dependencies are not locked"
    if offline():
        return Problem(what, "MLOPS_TEMPLATE_OFFLINE is set", command)
    if (program := uv()) is None:
        return Problem(what, "uv is not installed: pip install uv", command)
    say("  locking the dependencies (the first time takes about a minute) ...")
    start = time.monotonic()
    try:
        source = locked_from(program, verb)
    except (OSError, subprocess.SubprocessError) as error:
        return Problem(what, reason(error), command)
    say(f"  dependencies locked in {time.monotonic() - start:.1f} s{source}")
    return None


def locked_from(program: str, verb: str) -> str:
    """Lock from what uv has on this computer, else from the package index, and return which of them it was.

    Asking the index about every package again takes uv ten times as long as the rest, and needs a network.
    """
    try:
        run(program, verb, "--offline", seconds=LOCK_SECONDS)
        return ", from this computer's package cache; `uv lock --upgrade` looks for newer ones"
    except subprocess.CalledProcessError:
        # Its choice was of what the cache happens to hold: the index is to have a free one.
        Path("uv.lock").unlink(missing_ok=True)
    run(program, verb, seconds=LOCK_SECONDS)
    return ""


def branches(answers: Answers) -> Problem | None:
    """Make the repository: everything in one first commit on main, and dev beside it."""
    command = f"git init -q -b main && git add -A && git commit -q -m {shlex.quote(FIRST_COMMIT)} && git branch dev"
    what = "there is no git repository"
    if shutil.which("git") is None:
        return Problem(what, "git is not installed", command)
    try:
        if not Path(".git").exists():
            run("git", "init", "-q")
            # Git before 2.28 has no --initial-branch.
            run("git", "symbolic-ref", "HEAD", "refs/heads/main")
        if not run("git", "for-each-ref", "refs/heads"):
            run("git", "add", "-A")
            run("git", *identity(answers), "commit", "-q", "--no-verify", "--no-gpg-sign", "-m", FIRST_COMMIT)
            run("git", "branch", "dev")
            say("  git: branches main and dev, with everything in the first commit")
    except (OSError, subprocess.SubprocessError) as error:
        return Problem("the first commit is not made", reason(error), command)
    return None


def identity(answers: Answers) -> list[str]:
    """Options that name the author of the first commit where git does not know one."""
    known = {"user.name": answers["author_name"], "user.email": answers["author_email"]}
    missing = []
    for key, value in known.items():
        try:
            run("git", "config", key)
        except subprocess.CalledProcessError:
            missing += ["-c", f"{key}={value}"]
    return missing


def model_groups(answers: Answers) -> Problem | None:
    """Make the model groups in the sandbox or in AWS; mlops.yaml says which of them."""
    if answers["model_groups"] == "later":
        return None
    what, command = "the model groups are not made", "uv run mlops groups create"
    if offline():
        return Problem(what, "MLOPS_TEMPLATE_OFFLINE is set", command)
    program = uv()
    if program is None or not Path("uv.lock").exists():
        return Problem(what, "it needs the dependencies", command)
    try:
        groups = json.loads(run(program, "run", "--no-sync", "mlops", "groups", "create", "--json",
                                seconds=GROUPS_SECONDS))  # fmt: skip
        names = ", ".join(group["name"] for group in groups)
    except (OSError, subprocess.SubprocessError, ValueError, KeyError, TypeError) as error:
        return Problem(what, reason(error), command)
    place = "the sandbox" if answers["model_groups"] == "sandbox" else "AWS"
    say(f"  model groups in {place}: {names}")
    return None


PLAN: tuple[Callable[[Answers], Problem | None], ...] = (
    without_caches,
    without_infrastructure,
    tracked_data,
    locked_dependencies,
    branches,
    model_groups,
)


def repeat_command(answers: Answers) -> str:
    """The command that makes this project again, on any machine."""
    given = [f"{name}={answer}" for name, answer in answers.items() if not name.startswith("_")]
    template = answers.get("_template", "TEMPLATE")
    return shlex.join(["uvx", "cookiecutter", template, "--no-input", *given])


def closing_words(answers: Answers, problems: list[Problem]) -> str:
    """What is not done with the command that finishes it, then what to type next."""
    folder = shlex.quote(answers["project_slug"])
    lines = [f"  not done: {problem.what} ({problem.why})" for problem in problems]
    if problems:
        lines += [f"  finish it with: cd {folder} && " + " && ".join(problem.command for problem in problems)]
    lines += ["", "Next:", f"  cd {folder}"]
    if "_commit" in answers:  # cruft writes its file after this hook
        lines += ["  git add .cruft.json && git commit -m 'Remember the template' && git branch -f dev"]
    if answers["model_groups"] == "later":
        lines += ["  uv run mlops groups create     # the model groups, when you are ready"]
    lines += [
        "  uv run mlops demo              # a model's whole life, on this computer",
        "  uv run pytest                  # the project's tests",
        "",
        "The same project again:",
        f"  {repeat_command(answers)}",
    ]
    return "\n".join(lines)


def main() -> None:
    """Carry out the plan; a step that fails is told at the end, and the ones after it still run."""
    answers: Answers = json.loads(ANSWERS)
    if compared_by_cruft(answers, Path.cwd()):
        without_caches(answers)
        without_infrastructure(answers)
        return
    say(f"{answers['project_slug']}:")
    problems = []
    for step in PLAN:
        try:
            problem = step(answers)
        except (OSError, KeyboardInterrupt) as error:
            problem = Problem(f"{step.__name__.replace('_', ' ')}", str(error) or "interrupted", "git status")
        if problem:
            problems.append(problem)
    say(closing_words(answers, problems))


if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", errors="replace")  # type: ignore[union-attr]
    main()
