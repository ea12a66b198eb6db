"""The values of an environment's infrastructure, `infra/environments/*.tfvars`: read and written line by line."""

import re

from mlops.settings.project import Environment, Settings
from mlops.setup import terraform


def text_of(settings: Settings, environment: Environment) -> str:
    """The file's text; of one that is not there yet what it has to begin with."""
    file = terraform.values(settings, environment)
    return file.read_text(encoding="utf-8") if file.is_file() else f'environment = "{environment.name}"\n'


def place(settings: Settings, environment: Environment) -> str:
    """The file as people find it."""
    return terraform.values(settings, environment).relative_to(settings.root).as_posix()


def value(text: str, name: str) -> str | None:
    """What a text or a yes or no is set to, without quotes; None when it is not, or in a comment only."""
    found = re.search(rf'^[ \t]*{name}[ \t]*=[ \t]*"?([^"#\n]*?)"?[ \t]*(?:#.*)?$', text, re.MULTILINE)
    return found[1] if found else None


def write(settings: Settings, environment: Environment, name: str, written: str) -> None:
    """Set a value that is not set yet, as Terraform writes it: in place of the example, where that is still there."""
    text, line = text_of(settings, environment), f"{name} = {written}"
    example = re.compile(rf"^#[ \t]*{name}[ \t]*=.*$", re.MULTILINE)
    changed = example.sub(lambda _: line, text, count=1) if example.search(text) else f"{text}\n{line}\n"
    terraform.values(settings, environment).write_text(changed, encoding="utf-8", newline="\n")
