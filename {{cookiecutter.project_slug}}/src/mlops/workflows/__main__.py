"""`python -m mlops.workflows`: what breaks a rule in the workflows of the current folder, a line each."""

import sys
from pathlib import Path

import yaml

from mlops.errors import Failure
from mlops.workflows import composites, documents, rules


def main() -> int:
    """Look at the repository in the current folder."""
    root = Path.cwd()
    try:
        repo = documents.repository(root)
        found = [*rules.problems(repo), *composites.findings(repo, root).splitlines()]
    except (Failure, yaml.YAMLError) as error:
        found = [f"✗ .github: {' '.join(str(error).split())}"]
    except (AttributeError, KeyError, TypeError) as error:
        # What is no workflow at all is told by actionlint, where it is.
        found = [f"✗ .github: something is not where GitHub expects it: {error!r}; see what actionlint says"]
    for each in found:
        print(each)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
