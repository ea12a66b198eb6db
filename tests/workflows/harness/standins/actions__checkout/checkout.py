"""Check out a commit of the origin into the workspace, as actions/checkout does, with the rights of the job's token."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NO_CREDENTIALS = "https://no-credentials.invalid/"


def git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"::error::git {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def wanted(given: str, event_ref: str, sha: str, origin: str) -> tuple[str, str]:
    """The refspec to fetch and the local branch, empty when HEAD is to be detached."""
    name = given or event_ref
    branch = name.removeprefix("refs/heads/")
    is_branch = subprocess.run(["git", "-C", origin, "show-ref", "-q", "--verify", f"refs/heads/{branch}"], check=False)
    if given and is_branch.returncode:
        return given, ""
    if name.startswith("refs/pull/"):
        return f"+{sha}:refs/remotes/{name.removeprefix('refs/')}", ""
    source = f"refs/heads/{branch}" if given else sha
    return f"+{source}:refs/remotes/origin/{branch}", branch


def main() -> None:
    env = os.environ
    if env["INPUT_REPOSITORY"] != env["GITHUB_REPOSITORY"]:
        sys.exit(f"::error::the harness has only {env['GITHUB_REPOSITORY']}, not {env['INPUT_REPOSITORY']}")
    if env["HARNESS_CONTENTS"] == "none":
        sys.exit("::error::Repository not found: the job's token has no `contents: read`")
    origin = env["HARNESS_ORIGIN"]
    folder = Path(env["INPUT_PATH"])
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    refspec, branch = wanted(env["INPUT_REF"], env["EVENT_REF"], env["EVENT_SHA"], origin)
    if not Path(".git").exists():
        git("init", "-q")
        git("remote", "add", "origin", f"file://{origin}")
    if env["INPUT_PERSIST"] != "true" or env["HARNESS_CONTENTS"] != "write":
        git("remote", "set-url", "--push", "origin", NO_CREDENTIALS)
    depth = [] if env["INPUT_DEPTH"] == "0" else ["--no-tags", f"--depth={env['INPUT_DEPTH']}"]
    if env["INPUT_DEPTH"] == "0":
        git("fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*")
    # After everything: a branch may have moved on since the event.
    git("fetch", "-q", *depth, "origin", refspec)
    target = refspec.partition(":")[2] or "FETCH_HEAD"
    git("checkout", "-q", "--force", *(["-B", branch] if branch else ["--detach"]), target)
    overlay = Path(env["HARNESS_ACTIONS"])
    changed = [file.relative_to(overlay) for file in overlay.rglob("*") if file.is_file()]
    for file in [file for file in changed if file.exists()]:
        shutil.copy(overlay / file, file)
        git("update-index", "--assume-unchanged", str(file))
    commit = git("rev-parse", "HEAD")
    print(f"checked out {commit} ({branch or refspec})")
    with Path(env["GITHUB_OUTPUT"]).open("a", encoding="utf-8") as outputs:
        outputs.write(f"ref={env['INPUT_REF'] or env['EVENT_REF']}\ncommit={commit}\n")


main()
