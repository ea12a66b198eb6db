"""The command `python -m sandbox`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from sandbox.server import AlreadyRunning, Options, run


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="AWS on this machine, for one project.")
    parser.add_argument("--state", type=Path, required=True, help="folder that keeps the state")
    parser.add_argument("--settings", type=Path, default=Path("mlops.yaml"), help="the project's mlops.yaml")
    parser.add_argument("--time-scale", type=float, default=60.0, help="seconds of AWS per second here (60)")
    parser.add_argument("--parent", type=int, help="stop when the process of this id ends")
    parser.add_argument("--repository", help="OWNER@ID/REPO@ID on GitHub whose workflows the roles trust")
    parser.add_argument("--warm", action="store_true", help="import what jobs need at once, not with the first job")
    parser.add_argument("--bare", action="store_true", help="start with empty accounts, for infrastructure code")
    parser.add_argument("--asked", type=Path, help="file to write down in what roles ask for, a JSON line each")
    given = parser.parse_args()
    if given.time_scale <= 0:
        parser.error(f"--time-scale is {given.time_scale:g}; more than 0 is needed")
    if not given.settings.is_file():
        parser.error(f"--settings: there is no file {given.settings}")
    try:
        state = given.state.resolve()
        run(
            Options(
                state, given.settings, given.time_scale, given.parent, given.repository, given.warm, given.bare,
                given.asked,
            )
        )  # fmt: skip
    except AlreadyRunning as error:
        print(f"sandbox: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
