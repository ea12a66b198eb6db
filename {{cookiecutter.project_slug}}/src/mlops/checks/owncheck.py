"""The team's own checks of an endpoint: functions `check_...` in tests/endpoint/check_*.py, each told what to ask.

They may import the standard library and what the machinery itself needs; `mlops verify` runs where nothing else is.
"""

import importlib.util
import json
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import boto3

from mlops import aws
from mlops.checks import contract
from mlops.checks.contract import JSON, Request
from mlops.errors import Failure, NotVerified
from mlops.settings.project import Environment, Settings

FOLDER = Path("tests/endpoint")
PREFIX = "check_"


@dataclass(frozen=True)
class Answer:
    """What the endpoint answered: the HTTP status, the text, and the type that it says it is."""

    status: int
    text: str
    content_type: str

    @property
    def json(self) -> Any:
        """The text as JSON."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Endpoint:
    """What a check is given.

    Attributes:
        name: of the endpoint.
        environment: that it serves, such as dev.
        folder: `tests` of the project, where files for the checks may lie.
    """

    name: str
    environment: str
    folder: Path
    _session: boto3.Session = field(repr=False)

    def predict(self, body: str, content_type: str = JSON, accept: str = JSON) -> Answer:
        """Ask the endpoint; a refusal of the model is an answer like any other.

        Raises:
            Failure: SageMaker refused, not the model.
        """
        request = Request(name="", content_type=content_type, accept=accept, body=body)
        found = contract.ask(self._session, self.name, request)
        return Answer(found.status, found.text, found.content_type)

    def requests(self) -> list[Request]:
        """The requests of the contract: `name`, `content_type`, `accept`, `body`, and `status`, that of the answer."""
        return contract.read(self.folder.parent / contract.FILE)


@dataclass(frozen=True)
class OwnCheck:
    """A check that was run: its name, where it stands, how long it took; what it found, empty when all was well."""

    name: str
    file: str
    seconds: float
    problem: str = ""


def run(settings: Settings, environment: Environment, progress: Callable[[str], None]) -> list[OwnCheck]:
    """Run every check of the folder, in the order of the files and of the functions in them.

    Raises:
        NotVerified: a check fails, or can not be run: each is named with its file and line. The others are run as well.
        Failure: SageMaker refused what a check asked.
    """
    folder = settings.root / FOLDER
    files = sorted(folder.glob(f"{PREFIX}*.py"))
    if not files:
        return []
    session = aws.session(settings, environment, "deploy")
    endpoint = Endpoint(environment.endpoint_name, environment.name, folder.parent, session)
    done = []
    for file in files:
        for each in of_file(file, endpoint, settings.root):
            progress(f"{'✗' if each.problem else '✓'} {each.name.removeprefix(PREFIX).replace('_', ' ')}")
            done.append(each)
    if failed := [each for each in done if each.problem]:
        problems = "; ".join(f"{each.name} ({each.file}): {each.problem}" for each in failed)
        raise NotVerified(f"{endpoint.name} fails {len(failed)} of {len(done)} checks of its own: {problems}")
    return done


def of_file(file: Path, endpoint: Endpoint, root: Path) -> Iterator[OwnCheck]:
    """Run the checks of one file; that it can not be imported, or holds none, is a check that fails.

    Raises:
        Failure: SageMaker refused what a check asked, which says nothing of the model.
    """
    place = file.relative_to(root).as_posix()
    try:
        module = imported(file)
    except (Exception, SystemExit) as error:
        yield OwnCheck(file.stem, at(error, file, place), 0.0, f"it can not be imported: {said(error, file)}")
        return
    found = functions(module)
    if not found:
        yield OwnCheck(file.stem, place, 0.0, f"it has no function {PREFIX}...(endpoint)")
    for function in found:
        started, where, problem = time.perf_counter(), f"{place}:{function.__code__.co_firstlineno}", ""
        try:
            function(endpoint)
        # A check is somebody else's code: whatever it raises, the others are run and this one has failed.
        except (Exception, SystemExit) as error:
            if isinstance(error, Failure) and not isinstance(error, NotVerified):
                raise
            where, problem = at(error, file, place), said(error, file)
        yield OwnCheck(function.__name__, where, time.perf_counter() - started, problem)


def imported(file: Path) -> ModuleType:
    """A file of checks as a module; nothing else can import it, nor does it hide another module."""
    name = f"mlops_own_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up here.
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def functions(module: ModuleType) -> list[FunctionType]:
    """The checks of a module in the order of their lines; what it imports from elsewhere is not its own."""
    found = [
        each
        for name, each in vars(module).items()
        if name.startswith(PREFIX) and isinstance(each, FunctionType) and each.__module__ == module.__name__
    ]
    return sorted(found, key=lambda each: each.__code__.co_firstlineno)


def at(error: BaseException, file: Path, place: str) -> str:
    """File and line of the last statement of the check itself, or of the slip of the pen in it."""
    if isinstance(error, SyntaxError) and error.lineno:
        return f"{place}:{error.lineno}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
    return f"{place}:{lines[-1]}" if lines else place


def said(error: BaseException, file: Path) -> str:
    """What an error says, in one line; a bare assertion says what it asserts."""
    text = " ".join(str(error).split())[:500]
    if isinstance(error, AssertionError):
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(file)]
        return text or (frames[-1].line if frames and frames[-1].line else "an assertion does not hold")
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
