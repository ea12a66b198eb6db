"""Batch: an environment without an endpoint makes the newest approved version ready, and its jobs transform files."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path

import boto3

from mlops import aws, storage
from mlops.compute import transforms
from mlops.compute.transforms import Wanted
from mlops.display import Progress
from mlops.errors import BadInput, Failure, NotApproved, NotFound, NotVerified
from mlops.hosting import endpoints
from mlops.hosting.endpoints import Deployment
from mlops.monitoring import records
from mlops.monitoring.records import FORMATS, Format
from mlops.registry import packages
from mlops.registry.packages import ModelPackage
from mlops.settings.project import Environment, Settings
from mlops.settings.serving import Batch

NAMED_LETTERS = 40


@dataclass(frozen=True)
class Transformed:
    """Files that went through a version: where its answers are, and how many rows each has."""

    version: int
    package: str
    job: str
    output: str
    rows: dict[str, int | None]
    changed: bool
    seconds: float


@dataclass(frozen=True)
class Text:
    """A request as a text, of which a file is made."""

    name: str
    body: str
    content_type: str
    accept: str


def ready(
    session: boto3.Session, settings: Settings, environment: Environment, package: ModelPackage, progress: Progress
) -> Deployment:
    """Make the model of a version, which the next transform uses; this is all that a batch environment deploys."""
    started = time.monotonic()
    there = model_exists(session, endpoints.config_name(settings, environment, package))
    name = endpoints.model(session, settings, environment, package)
    if endpoints.state(session, environment.endpoint_name) is not None:
        teardown = f"mlops teardown {environment.options} --confirm {environment.endpoint_name}"
        progress(f"{environment.endpoint_name} still serves, from before it was kind batch: {teardown} ends that")
    return Deployment(name, package.arn, package.version, changed=not there, seconds=time.monotonic() - started)


def model_exists(session: boto3.Session, name: str) -> bool:
    """Whether there is a model of a name."""
    try:
        with aws.explained("DescribeModel", name):
            aws.client(session, "sagemaker").describe_model(ModelName=name)
    except NotFound:
        return False
    return True


def transform(
    settings: Settings, environment: Environment, source: str, output: Path | None, progress: Progress
) -> Transformed:
    """Send a whole file, or all below a prefix of S3, through the newest approved version.

    What was transformed by the same version before is not paid for again: its answers are there.

    Args:
        settings: the project.
        environment: of kind batch.
        source: path of a file, or `s3://bucket/key` in the environment's bucket; one that ends in a slash is a prefix.
        output: folder on this computer that gets the answers too; they are in the bucket in any case.
        progress: told what begins and ends.

    Raises:
        BadInput: the environment is of another kind, the file is not there or of no format that is known.
        Failure: the job fails, or rows are missing in its answers.
    """
    started = time.monotonic()
    configured(environment)
    session = aws.session(settings, environment, "deploy")
    package = newest(session, environment)
    uri, files = sent(session, environment, source)
    form = one_format(files)
    kept = {name: place(output, name) for name in files} if output else {}
    model = endpoints.model(session, settings, environment, package)
    wanted = Wanted(model, uri, files, form.content_type, form.content_type, by_line=form.by_line)
    job, changed = transforms.done(session, settings, environment, wanted, progress)
    answers = transforms.output_of(job)
    rows = {}
    for name in files:
        at = uri if len(files) == 1 and not uri.endswith("/") else f"{uri}{name}"
        rows[name] = checked(session, form, at, f"{answers}{name}.out")
        if name in kept:
            storage.download(session, f"{answers}{name}.out", kept[name])
    seconds = time.monotonic() - started
    return Transformed(package.version, package.arn, job.name, answers, rows, changed, seconds)


def place(output: Path, name: str) -> Path:
    """Where a file's answers go on this computer.

    Raises:
        BadInput: its key leads out of the folder.
    """
    if any(part in {"", ".", ".."} for part in name.split("/")):
        raise BadInput(f"the input holds {name!r}, which is no path below {output}: rename it, or leave --output out")
    return output / f"{name}.out"


def answers(settings: Settings, environment: Environment, texts: list[Text], progress: Progress) -> list[str]:
    """What the newest approved version answers to requests, each as a file: one job for all of the same types.

    Raises:
        NotVerified: the model refuses one of them or fails, or rows are missing in an answer.
        Failure: a job fails for another reason.
    """
    configured(environment)
    session = aws.session(settings, environment, "deploy")
    model = endpoints.model(session, settings, environment, newest(session, environment))
    found: dict[int, str] = {}
    for content_type, accept in dict.fromkeys((each.content_type, each.accept) for each in texts):
        group = [
            (n, each) for n, each in enumerate(texts) if (each.content_type, each.accept) == (content_type, accept)
        ]
        files = {file_name(n, each): each.body.encode() for n, each in group}
        key = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
        uri = f"s3://{environment.bucket}/batch/input/{key[:16]}/"
        for name, body in files.items():
            storage.write(session, f"{uri}{name}", body, environment.kms_key)
        identities = {name: hashlib.sha256(body).hexdigest() for name, body in files.items()}
        wanted = Wanted(model, uri, identities, content_type, accept, by_line=False)
        try:
            job, _ = transforms.done(session, settings, environment, wanted, progress)
        except transforms.NotAnswered as error:
            raise NotVerified(str(error)) from error
        for n, each in group:
            place = f"{transforms.output_of(job)}{file_name(n, each)}.out"
            found[n] = storage.read(session, place).decode("utf-8", errors="replace")
            complete(each, found[n])
    return [found[n] for n in range(len(texts))]


def configured(environment: Environment) -> Batch:
    """The batch settings of an environment.

    Raises:
        BadInput: it is of another kind.
    """
    if not isinstance(environment.endpoint, Batch):
        raise BadInput(
            f"{environment.label} is not of kind batch: mlops predict {environment.options} asks its endpoint; or give "
            f"environments.{environment.name}.endpoint.kind: batch in mlops.yaml"
        )
    return environment.endpoint


def newest(session: boto3.Session, environment: Environment) -> ModelPackage:
    """The version that transforms: the newest that is approved.

    Raises:
        NotApproved: there is none.
    """
    package = packages.newest(session, environment.group, "Approved")
    if package is None:
        raise NotApproved(f"{environment.group} has no approved version; mlops status shows what there is")
    return package


def sent(session: boto3.Session, environment: Environment, source: str) -> tuple[str, dict[str, str]]:
    """Bring the input into the bucket, unless it is there.

    Returns:
        Its address, and the files in it: the name of each below the address, and what it holds, by a digest.
    """
    if source.startswith("s3://"):
        found = storage.etags(session, source)
        if not source.endswith("/") and "" in found:
            if len(found) > 1:
                others = ", ".join(sorted(f"{Path(source).name}{each}" for each in found if each)[:3])
                raise BadInput(
                    f"{source}: SageMaker takes every key that begins so, {others} too: "
                    "give the file a prefix of its own, which ends in a slash"
                )
            found = {Path(source).name: found[""]}
        elif not source.endswith("/"):
            found = {}
        if not found:
            raise BadInput(f"{source}: nothing is there; give an object, or a prefix that ends in a slash")
        return source, found
    file = Path(source)
    try:
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        raise BadInput(f"file is {file}: {error.strerror}; give a file, or s3://BUCKET/KEY") from error
    uri = f"s3://{environment.bucket}/batch/input/{digest[:16]}/{file.name}"
    if not storage.exists(session, uri):
        storage.upload(session, file, uri, environment.kms_key)
    return uri, {file.name: digest}


def one_format(files: dict[str, str]) -> Format:
    """The format of all files of an input, which one job can have only one of.

    Raises:
        BadInput: it is not known, or they have several.
    """
    endings = {Path(name).suffix.lower() for name in files}
    if len(endings) == 1 and (ending := endings.pop()) in FORMATS:
        return FORMATS[ending]
    first = ", ".join(sorted(files)[:3])
    raise BadInput(f"the input holds {first}; files of one of the formats {', '.join(FORMATS)} are allowed")


def checked(session: boto3.Session, form: Format, source: str, answer: str) -> int | None:
    """Hold a file's answers against it: as many rows as went in, all of the same form.

    Returns:
        How many; None when a file's rows can not be told, as those of JSON with several arrays.

    Raises:
        Failure: they are not.
    """
    asked = records.table(form, storage.lines(session, source))
    answered = records.table(form, storage.lines(session, answer))
    if asked is None or answered is None:
        return None
    if answered.rows != asked.rows:
        raise Failure(f"{answer}: {answered.rows} rows, {asked.rows} rows were sent from {source}")
    if len(answered.forms) > 1:
        shown = " and ".join(sorted(answered.forms)[:2])
        raise Failure(f"{answer}: its rows are not of one form: {shown}")
    return answered.rows


def complete(asked: Text, answer: str) -> None:
    """Refuse an answer that has other rows than its request.

    Raises:
        NotVerified: it has more, or less.
    """
    sent = records.table(Format(asked.content_type, by_line=False), asked.body.splitlines())
    found = records.table(Format(asked.accept, by_line=False), answer.splitlines())
    if sent and found and sent.rows != found.rows:
        raise NotVerified(f"{asked.name}: {found.rows} rows came back, {sent.rows} were sent")


def file_name(number: int, text: Text) -> str:
    """A file's name for a request; the numbers keep apart those of one name."""
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.name)
    return f"{number:03d}-{plain[:NAMED_LETTERS].strip('-')}"
