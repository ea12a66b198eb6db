"""What a stage's script finds around it, on a laptop and in SageMaker's containers alike."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from mlops.compute.pipeline import Stage

OPT_ML = "/opt/ml"
PROCESSING = f"{OPT_ML}/processing"
PROCESSING_CODE = f"{PROCESSING}/input/code"
PROCESSING_OUTPUT = f"{PROCESSING}/output"
TRAINING_CODE = f"{OPT_ML}/input/data/code"

PROCESSING_VALUE_LIMIT = 256
"""Characters of a variable of a processing job. Source: SageMaker's API reference, ProcessingEnvironmentValue."""


@dataclass(frozen=True)
class JobRequest:
    """A stage as a SageMaker job: all that is asked for, whatever its kind.

    Args:
        name: of the job, exactly.
        stage: which stage of the pipeline it is.
        script: path of its script in the code folder.
        key: the stage's key; the job carries it so that a later run knows what it was made from.
        image: it runs in.
        role: ARN that SageMaker assumes for it.
        code: folder on this machine with the code, which is sent.
        inputs: channel → `s3://` prefix or object.
        output: `s3://` prefix of all that it writes.
        arguments: what the script is told.
        starter: who starts it; the job carries it, so that only its own run stops it.
        kms_key: ARN of the key that encrypts what it reads and writes; the defaults of AWS when None.
        tags: of the job; a budget counts by them.
    """

    name: str
    stage: str
    script: str
    key: str
    image: str
    role: str
    bucket: str
    code: Path
    inputs: dict[str, str]
    output: str
    arguments: dict[str, str] = field(default_factory=dict)
    kms_key: str | None = None
    starter: str = ""
    tags: dict[str, str] = field(default_factory=dict)


def command_line(arguments: dict[str, str]) -> list[str]:
    """Parameters as a script gets them: `--name value` for each."""
    return [word for name, value in arguments.items() for word in (f"--{name}", value)]


def local_environment(stage: Stage, root: Path, trains: bool) -> dict[str, str]:
    """The contract's variables for a stage that runs here.

    Args:
        stage: that runs.
        root: folder of the project, where inputs are and the output goes.
        trains: it makes the model: the output is the model folder, as in a training job.
    """
    output = str(root / stage.output)
    beside = str(root / ".mlops" / "output" / stage.name)
    return {
        **{f"SM_CHANNEL_{channel.upper()}": str(root / path) for channel, path in stage.channels.items()},
        "SM_MODEL_DIR": output if trains else beside,
        "SM_OUTPUT_DATA_DIR": beside if trains else output,
        "SM_HPS": json.dumps(stage.parameters),
        "PYTHONPATH": str(root / "src"),
    }


def processing_environment(request: JobRequest) -> dict[str, str]:
    """The contract's variables for a processing job, where SageMaker itself sets none."""
    variables = {
        **{f"SM_CHANNEL_{channel.upper()}": f"{PROCESSING}/input/{channel}" for channel in request.inputs},
        "SM_OUTPUT_DATA_DIR": PROCESSING_OUTPUT,
        "SM_MODEL_DIR": PROCESSING_OUTPUT,
        "SM_HPS": json.dumps(request.arguments),
        "PYTHONPATH": PROCESSING_CODE,
        "MLOPS_STAGE_KEY": request.key,
        "MLOPS_STARTED_BY": request.starter,
    }
    # The parameters are on the command line in any case; a processing job takes no longer value.
    return {name: value for name, value in variables.items() if len(value) <= PROCESSING_VALUE_LIMIT}


def training_environment(request: JobRequest) -> dict[str, str]:
    """The variables that a training job has beside those that SageMaker sets."""
    own = {"MLOPS_STAGE_KEY": request.key, "MLOPS_STARTED_BY": request.starter}
    return {"PYTHONPATH": TRAINING_CODE, **own}
