"""How the demo is told: chapters, the commands in them, what each printed, and a trace of it all."""

import contextlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TextIO

from mlops import cli
from mlops.errors import Failure

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C has stopped."""


@dataclass(frozen=True)
class Command:
    """A command that was run: what was typed, how it ended, and what it printed."""

    command: str
    exit_code: int
    seconds: float
    output: str


@dataclass
class Chapter:
    """A part of the story and the commands in it."""

    name: str
    title: str
    commands: list[Command] = field(default_factory=list)


class Indented(io.TextIOBase):
    """A stream that keeps what is written to it, and shows it indented on another one."""

    def __init__(self, shown: TextIO | None) -> None:
        self.kept = io.StringIO()
        self.shown = shown

    def write(self, text: str) -> int:
        """Keep a text and show its lines as they come."""
        self.kept.write(text)
        if self.shown is not None and text.strip():
            for line in text.rstrip("\n").splitlines():
                print(f"    {line}", file=self.shown, flush=True)
        return len(text)

    def isatty(self) -> bool:
        """As a person sees a command at work: what a rollout goes through is what the story is about."""
        return True


class Narrator:
    """Runs the commands of a story and remembers them; silent when a machine reads."""

    def __init__(self, silent: bool) -> None:
        self.silent = silent
        self.chapters: list[Chapter] = []
        self.started = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long the story has taken so far, in seconds."""
        return time.monotonic() - self.started

    @contextlib.contextmanager
    def chapter(self, name: str, title: str) -> Iterator[None]:
        """Begin a part of the story.

        Args:
            name: what a machine calls it.
            title: what a person reads.
        """
        self.chapters.append(Chapter(name, title))
        self.say(f"\n{len(self.chapters)}. {title}")
        yield

    def say(self, text: str) -> None:
        """Print a line for a person."""
        if not self.silent:
            print(text, flush=True)

    def mlops(self, *arguments: str, expect: int = 0) -> str:
        """Run `mlops` with arguments and show what it prints.

        Args:
            arguments: the command line after `mlops`.
            expect: the exit code that the story needs.

        Returns:
            What the command printed.

        Raises:
            Failure: it ended otherwise.
            KeyboardInterrupt: Ctrl-C stopped it, and with it the story.
        """
        typed = " ".join(["mlops", *(f'"{each}"' if " " in each else each for each in arguments)])
        return self.run(typed, lambda: cli.execute(list(arguments)), expect)

    def run(self, typed: str, deed: Callable[[], int], expect: int = 0) -> str:
        """Do a deed as if `typed` had been typed; see `mlops`."""
        self.say(f"  $ {typed}")
        begun = time.monotonic()
        output = Indented(None if self.silent else sys.stdout)
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            exit_code = deed()
        text = output.kept.getvalue()
        self.chapters[-1].commands.append(Command(typed, exit_code, round(time.monotonic() - begun, 3), text))
        if exit_code == INTERRUPTED:
            raise KeyboardInterrupt
        if exit_code != expect:
            raise Failure(f"the demo ran {typed!r}: it ended with {exit_code}, not {expect}: {last_line(text)}")
        return text


def last_line(text: str) -> str:
    """The last line of an output that is not empty."""
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it printed nothing"


@contextlib.contextmanager
def inside(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Work in a folder for a while."""
    before = os.getcwd()  # noqa: PTH109
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
