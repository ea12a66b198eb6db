"""Who runs a command, as the registry's records name it."""

import getpass
import os
import re

TAG_LIMIT = 256

NOT_ALLOWED = re.compile(r"[^\w .:/=+\-@]")
"""What a tag's value, or one of a package's metadata, may not hold, after their patterns in botocore."""


def who() -> str:
    """The person that GitHub names, or the user of this machine."""
    if actor := os.environ.get("GITHUB_ACTOR"):
        return actor
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"


def tag() -> str:
    """The same as a tag or metadata take it: a robot's `name[bot]` has letters that they do not."""
    return NOT_ALLOWED.sub("_", who())[:TAG_LIMIT]
