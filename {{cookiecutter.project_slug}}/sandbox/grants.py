"""The least that each role of an environment needs: the policies that infrastructure code would attach."""

from __future__ import annotations

from typing import Any

from sandbox import checks, hours, scaling_grants, versions
from sandbox.hours import schedule as schedule
from sandbox.project import Environment, Project
from sandbox.statements import KEY_READ, KEY_USE, READ_BEFORE, WRITE, Statement
from sandbox.statements import allow as _allow
from sandbox.statements import bucket as _bucket
from sandbox.statements import document as _document

_PRUNED = ("models", "baselines", "jobs")
"""The parts of a bucket that housekeeping removes from: what a fingerprint or a job's name names."""

_MADE = ("jobs", "captures", "batch/output")
"""The parts that jobs and endpoints write, whose code is any branch's: never what a version or a digest is kept in."""

_JUDGING = {"processing-job": "ProcessingJob"}
_TRAINING = {"training-job": "TrainingJob", **_JUDGING}
_ENTER_NETWORK = (
    "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
    "ec2:DeleteNetworkInterfacePermission", "ec2:DescribeNetworkInterfaces", "ec2:DescribeVpcs",
    "ec2:DescribeDhcpOptions", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups",
)  # fmt: skip
"""SageMaker's own calls under the execution role, to put a job or an endpoint into a network."""


def execution(project: Project, environment: Environment) -> dict[str, Any]:
    """What jobs and endpoints do: read the bucket, write what they make, log, measure, see their alarms."""
    # What the alarms on drift and by hand look at: the code of a branch may not raise production's.
    others = {"StringNotLike": {"cloudwatch:namespace": ["mlops", "mlops/*"]}}
    return _document(
        [
            *_bucket(environment.bucket, write=False),
            _allow(list(WRITE), [f"arn:aws:s3:::{environment.bucket}/{part}/*" for part in _MADE]),
            {**_allow(["cloudwatch:PutMetricData"], ["*"]), "Condition": others},
            _allow(["cloudwatch:DescribeAlarms"], _watched(project, environment)),
            _allow(
                ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents", "logs:DescribeLogStreams"],
                [f"arn:aws:logs:{project.region}:{environment.account}:log-group:/aws/sagemaker/*"],
            ),
            _allow(["ecr:GetAuthorizationToken"], ["*"]),
            _allow(
                ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"],
                # AWS's own images lie in accounts of AWS; SageMaker takes only those of its region.
                [f"arn:aws:ecr:{project.region}:*:repository/*"],
            ),
            *_key(environment),
            *([_allow(list(_ENTER_NETWORK), ["*"])] if project.network else []),
        ]
    )


def train(project: Project, environment: Environment) -> dict[str, Any]:
    """What a training run does: jobs under the execution role, data and artefacts, versions of its own group."""
    return _document(
        [
            *_bucket(environment.bucket, write=True),
            *_jobs(project, environment, _TRAINING),
            # The commits that wait for a job are its tags.
            _allow(
                ["sagemaker:ListTags"],
                [arn for kind in _TRAINING for arn in _sagemaker(project, environment, kind, [environment.named("*")])],
            ),
            # Of the later ones too: the report compares a new model with what serves there.
            *(statement for each in project.environments for statement in _group(project, each)),
            _allow(["sagemaker:CreateModelPackage"], _created(project, environment)),
            *_watch(project, environment, _TRAINING),
            _pass_role(environment),
            *_key(environment),
        ]
    )


def deploy(project: Project, environment: Environment) -> dict[str, Any]:
    """What a promotion and a deployment do: copy from the environment before, register, serve, watch, roll back."""
    before = project.before(environment)
    statements = [
        *_bucket(environment.bucket, write=True),
        *_jobs(project, environment, _JUDGING),
        *_group(project, environment),
        *_former(project, environment),
        *versions.register(environment.manual, _created(project, environment), _versions(project, environment)),
        *(_serving(project, environment) if environment.endpoints else []),
        *(checks.leave(project, environment) if environment.endpoints else []),
        *_watch(project, environment, _JUDGING),
        _pass_role(environment),
        *_key(environment),
    ]
    if before is not None:
        statements += _bucket(before.bucket, write=False, parts=READ_BEFORE)
        statements += _group(project, before)
        statements += _key_before(project, before, environment)
    return _document(statements)


def approve(project: Project, environment: Environment) -> dict[str, Any]:
    """What an approval does: look, then approve or reject; nothing can be deployed with it."""
    decide = versions.decide(_versions(project, environment))
    return _document([*_group(project, environment), decide, *_trial(project, environment)])


def destroy(project: Project, environment: Environment) -> dict[str, Any]:
    """What a teardown does: look at the endpoints, delete them; nothing can be made with it."""
    endpoints = _sagemaker(project, environment, "endpoint", _served(environment))
    looking = _allow(["sagemaker:DescribeEndpoint", "sagemaker:DeleteEndpoint"], endpoints)
    ending = scaling_grants.end(project, environment, _served(environment))
    keeping = [_allow(["kms:Decrypt", "kms:GenerateDataKey"], [environment.kms_key])] if environment.kms_key else []
    return _document([looking, *ending, *hours.keep_stopped(environment), *keeping])


def prune(project: Project, environment: Environment) -> dict[str, Any]:
    """What housekeeping does: look at versions, files and hosting, and delete what nothing uses; never an endpoint."""
    every = _versions_of(project, environment, _every_group(project, environment))
    reading = ["sagemaker:ListModelPackages", "sagemaker:DescribeModelPackage"]
    statements = [
        _allow(reading, every),
        _allow(["s3:ListBucket"], [f"arn:aws:s3:::{environment.bucket}"]),
        _allow(["s3:DeleteObject"], [f"arn:aws:s3:::{environment.bucket}/{part}/*" for part in _PRUNED]),
    ]
    if environment.first:
        statements.append(_allow(["sagemaker:DeleteModelPackage"], _versions(project, environment)))
    if environment.endpoints:
        names = [environment.endpoints[0], f"{environment.endpoints[0]}-*"]
        configs = _sagemaker(project, environment, "endpoint-config", names)
        looking = ["sagemaker:DescribeEndpointConfig", "sagemaker:DeleteEndpointConfig", "sagemaker:ListTags"]
        statements += [
            _allow(looking, configs),
            _allow(["sagemaker:DescribeEndpoint"], _sagemaker(project, environment, "endpoint", names)),
            _allow(["sagemaker:DeleteModel"], _sagemaker(project, environment, "model", names)),
            _allow(["sagemaker:ListModels", "sagemaker:ListEndpointConfigs", "sagemaker:ListEndpoints"], ["*"]),
        ]
    return _document(statements)


def monitor(project: Project, environment: Environment) -> dict[str, Any]:
    """What monitoring does: read captures and baselines, find what serves, measure in its own namespace."""
    names = _served(environment)
    kinds = {"model": "Model", "endpoint-config": "EndpointConfig", "endpoint": "Endpoint"}
    own = {"StringEquals": {"cloudwatch:namespace": "mlops"}}
    return _document(
        [
            *_bucket(environment.bucket, write=False, parts=("captures", "baselines")),
            *(
                _allow([f"sagemaker:Describe{noun}"], _sagemaker(project, environment, kind, names))
                for kind, noun in kinds.items()
            ),
            _allow(["sagemaker:DescribeModelPackage"], _versions(project, environment)),
            {**_allow(["cloudwatch:PutMetricData"], ["*"]), "Condition": own},
            *([_allow(list(KEY_READ), [environment.kms_key])] if environment.kms_key else []),
        ]
    )


def image(project: Project, environment: Environment) -> dict[str, Any]:
    """What the publication of an image does: look for it, push it; docker makes all but the first two calls itself."""
    pushes = ["DescribeImages", "BatchCheckLayerAvailability", "InitiateLayerUpload", "UploadLayerPart"]
    pushes += ["CompleteLayerUpload", "PutImage", "BatchGetImage"]
    repository = f"arn:aws:ecr:{project.region}:{environment.account}:repository/{project.name}"
    return _document(
        [
            _allow(["ecr:GetAuthorizationToken"], ["*"]),
            _allow([f"ecr:{each}" for each in pushes], [repository]),
        ]
    )


def _serving(project: Project, environment: Environment) -> list[Statement]:
    names = _served(environment)
    # Both are asked on the configuration too (Service Authorization Reference, Amazon SageMaker).
    served = [arn for kind in ("endpoint", "endpoint-config") for arn in _sagemaker(project, environment, kind, names)]
    return [
        *(
            _allow(
                [f"sagemaker:Describe{noun}", "sagemaker:AddTags", *also],
                _sagemaker(project, environment, kind, names),
            )
            for kind, noun, also in [
                ("model", "Model", ["sagemaker:CreateModel"]),
                ("endpoint-config", "EndpointConfig", ["sagemaker:CreateEndpointConfig"]),
                ("endpoint", "Endpoint", ["sagemaker:DeleteEndpoint", "sagemaker:InvokeEndpoint"]),
            ]
        ),
        _allow(["sagemaker:ListTags"], _sagemaker(project, environment, "endpoint-config", names)),
        _allow(["sagemaker:CreateEndpoint", "sagemaker:UpdateEndpoint"], served),
        _allow(["sagemaker:ListEndpointConfigs"], ["*"]),
        _allow(["cloudwatch:DescribeAlarms"], _watched(project, environment)),
        _allow(["cloudwatch:SetAlarmState"], [f"{arn}-manual" for arn in _alarms(project, environment)]),
        *scaling_grants.begin(project, environment, names),
        _allow(["cloudwatch:GetMetricStatistics"], ["*"]),
    ]


def _served(environment: Environment) -> list[str]:
    """Names of models, configurations and endpoints; the challenger's have the same beginning."""
    return [environment.endpoints[0], f"{environment.endpoints[0]}-*"]


def _trial(project: Project, environment: Environment) -> list[Statement]:
    """Before a champion is approved: what its model has served as challenger."""
    challengers = environment.endpoints[1:]
    if not challengers:
        return []
    return [
        _allow(["sagemaker:DescribeEndpoint"], _sagemaker(project, environment, "endpoint", challengers)),
        _allow(["cloudwatch:GetMetricStatistics"], ["*"]),
    ]


def _jobs(project: Project, environment: Environment, kinds: dict[str, str]) -> list[Statement]:
    names = [environment.named("*")]
    return [
        _allow(
            [*(f"sagemaker:{verb}{noun}" for verb in ("Create", "Describe", "Stop")), "sagemaker:AddTags"],
            _sagemaker(project, environment, kind, names),
        )
        for kind, noun in _run(environment, kinds).items()
    ]


def _run(environment: Environment, kinds: dict[str, str]) -> dict[str, str]:
    """Where models are served they may be served in batch; a change of kind asks no administrator."""
    return {**kinds, **({"transform-job": "TransformJob"} if environment.endpoints else {})}


def _group(project: Project, environment: Environment) -> list[Statement]:
    """Looking at the groups of an environment and their versions."""
    return [
        _allow(["sagemaker:DescribeModelPackageGroup"], _groups(project, environment)),
        _allow(["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"], _versions(project, environment)),
    ]


def _watch(project: Project, environment: Environment, kinds: dict[str, str]) -> list[Statement]:
    """The logs of its own jobs. All jobs of an account share a group; a list of its streams has their names in it."""
    start = f"arn:aws:logs:{project.region}:{environment.account}:log-group:/aws/sagemaker"
    groups = [f"{start}/{noun}s" for noun in _run(environment, kinds).values()]
    return [
        _allow(["logs:DescribeLogStreams"], [f"{group}:*" for group in groups]),
        _allow(["logs:GetLogEvents"], [f"{group}:log-stream:{environment.named('*')}" for group in groups]),
    ]


def _key(environment: Environment) -> list[Statement]:
    return [_allow(list(KEY_USE), [environment.kms_key])] if environment.kms_key else []


def _key_before(project: Project, before: Environment, environment: Environment) -> list[Statement]:
    """Of another key than its own the role has to be told too: the key's policy may leave it to the accounts.

    Of one that is made nobody knows the name: its policy says which it is, which is enough in the same account.
    """
    if before.makes_key:
        keys = [f"arn:aws:kms:{project.region}:{before.account}:key/*"]
        return [_allow(list(KEY_READ), keys)] if before.account != environment.account else []
    other = before.kms_key and before.kms_key != environment.kms_key
    return [_allow(list(KEY_READ), [str(before.kms_key)])] if other else []


def _former(project: Project, environment: Environment) -> list[Statement]:
    """After a switch of the scenario the history of the groups before it is read on."""
    if project.after(environment) is not None:
        return []
    groups = [name for name in _every_group(project, environment) if name not in environment.groups]
    reading = ["sagemaker:DescribeModelPackage", "sagemaker:ListModelPackages"]
    return [_allow(reading, _versions_of(project, environment, groups))]


def _pass_role(environment: Environment) -> Statement:
    to_sagemaker = {"StringEquals": {"iam:PassedToService": "sagemaker.amazonaws.com"}}
    return {**_allow(["iam:PassRole"], [environment.execution_role]), "Condition": to_sagemaker}


def _groups(project: Project, environment: Environment) -> list[str]:
    return _sagemaker(project, environment, "model-package-group", environment.groups)


def _versions(project: Project, environment: Environment) -> list[str]:
    return _versions_of(project, environment, environment.groups)


def _created(project: Project, environment: Environment) -> list[str]:
    """A version is made in a group: AWS lists both as resources of the action (Service Authorization Reference)."""
    return [*_versions(project, environment), *_groups(project, environment)]


def _versions_of(project: Project, environment: Environment, groups: Any) -> list[str]:
    return [f"{arn}/*" for arn in _sagemaker(project, environment, "model-package", groups)]


def _every_group(project: Project, environment: Environment) -> list[str]:
    prefix = f"{project.name}-{environment.name}"
    return [prefix, f"{prefix}-champion", f"{prefix}-challenger"]


def _alarms(project: Project, environment: Environment) -> list[str]:
    return [f"arn:aws:cloudwatch:{project.region}:{environment.account}:alarm:{project.name}-{environment.name}*"]


def _watched(project: Project, environment: Environment) -> list[str]:
    """The environment's own alarms, and those of other names that its settings give."""
    here = f"arn:aws:cloudwatch:{project.region}:{environment.account}:alarm"
    return [*_alarms(project, environment), *(f"{here}:{name}" for name in environment.named_alarms)]


def _sagemaker(project: Project, environment: Environment, kind: str, names: Any) -> list[str]:
    return [f"arn:aws:sagemaker:{project.region}:{environment.account}:{kind}/{name}" for name in names]
