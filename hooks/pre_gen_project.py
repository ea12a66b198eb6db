"""Refuses answers that would fail later in SageMaker, S3, Python or GitHub: all of them at once, one line each."""

from __future__ import annotations

import json
import keyword
import re
import sys

# `tojson` escapes apostrophes, so that no answer can end this string: it stays text until it is parsed.
ANSWERS = r'''{{ cookiecutter | tojson }}'''  # fmt: skip

# The project's names take the slug as their beginning. The longest is a SageMaker job's, of at most 63 characters:
# <slug>-<environment, 12>-<stage>-<key, 8>-<attempt>; 30 leaves every part its room.
SLUG_LENGTH = range(3, 31)
# S3 keeps these beginnings of bucket names for itself.
BUCKET_PREFIXES = ("sthree-", "amzn-s3-demo-")
WINDOWS_DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{digit}" for port in ("com", "lpt") for digit in range(10))}

# A package of such a name would hide a module that the project itself imports, or be hidden by it.
IMPORTED = {
    "boto3", "botocore", "cookiecutter", "cruft", "dvc", "fsspec", "hatchling", "joblib", "jinja2",
    "matplotlib", "mlops", "moto", "mypy", "numpy", "packaging", "pandas", "pip", "pre_commit", "pyarrow",
    "pydantic", "pydantic_core", "pytest", "regex", "requests", "rich", "ruff", "s3fs", "s3transfer",
    "sagemaker", "sandbox", "scipy", "setuptools", "sklearn", "typer", "typing_extensions", "urllib3", "uv",
    "werkzeug", "yaml",
}  # fmt: skip
PROJECT_FOLDERS = {
    "data", "docs", "infra", "lambdas", "model", "models", "reports", "src", "test", "tests",
}  # fmt: skip
SCRIPTS = {"prepare", "train", "evaluate", "inference"}
DISTRIBUTIONS = {*(name.replace("_", "-") for name in IMPORTED), "scikit-learn", "pyyaml", "sagemaker-train"}

# Regions of AWS's commercial partition that have SageMaker. The hook has no botocore to ask: it runs in
# cookiecutter's environment.
REGIONS = (
    "af-south-1", "ap-east-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1",
    "ap-south-2", "ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5",
    "ap-southeast-6", "ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2",
    "eu-north-1", "eu-south-1", "eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1",
    "me-central-1", "me-south-1", "mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1",
    "us-west-2",
)  # fmt: skip

CHOICES = {
    "scenario": ("basic", "advanced"),
    "infrastructure": ("terraform", "none"),
    "license": ("MIT", "Apache-2.0", "BSD-3-Clause", "Proprietary"),
    "model_groups": ("sandbox", "aws", "later"),
}
TEXTS = {"project_name": 60, "description": 200, "author_name": 100}
# What begins code somewhere: templates, shells, GitHub's expressions, Python's and YAML's escapes.
CODE = ("{" * 2, "{" + "%", "{" + "#", "${", "$(", "`", "\\", '"' * 3, "'" * 3)


def allowed_text(answer: str, longest: int) -> str | None:
    """What is allowed instead, when a line of free text is not; quotes, accents and every script are."""
    if not answer.strip() or len(answer) > longest or not answer.isprintable() or answer != answer.strip():
        return f"one line of 1 to {longest} printable characters, with no space at its ends, is allowed"
    if any(code in answer for code in CODE):
        return f"text without {' '.join(CODE)} is allowed"
    return None


def allowed_slug(slug: str) -> str | None:
    """What is allowed instead, when a slug can not be part of every name made from it."""
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", slug) or len(slug) not in SLUG_LENGTH:
        return "3 to 30 lower-case letters, digits and single hyphens, a letter first, are allowed"
    if slug.startswith(BUCKET_PREFIXES):
        return f"a beginning other than {' and '.join(BUCKET_PREFIXES)}, which S3 keeps, is allowed"
    if slug in WINDOWS_DEVICES:
        return "a name that is no device of Windows is allowed"
    if slug in DISTRIBUTIONS:
        return "a name that is no library of the project is allowed"
    return None


def allowed_package(package: str) -> str | None:
    """What is allowed instead, when a package could not be imported or would hide another."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", package) or len(package) > 40:
        return "1 to 40 lower-case letters, digits and underscores, a letter first, are allowed"
    if keyword.iskeyword(package) or keyword.issoftkeyword(package):
        return "a name that is no keyword of Python is allowed"
    if package in sys.stdlib_module_names | IMPORTED | PROJECT_FOLDERS | SCRIPTS | WINDOWS_DEVICES:
        return "a name that no module, library, script or folder of the project has is allowed"
    return None


def allowed_form(field: str, answer: str) -> str | None:
    """What is allowed instead, for the answers that have one form."""
    if field == "author_email":
        form, allowed = r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}", "name@example.com"
    elif field == "github_owner":
        form, allowed = r"(?=.{1,39}$)[A-Za-z0-9]+(-[A-Za-z0-9]+)*", "1 to 39 letters, digits and single hyphens"
    else:
        form, allowed = r"[0-9]{12}", "12 digits (the number of an AWS account)"
    return None if re.fullmatch(form, answer) else f"the form allowed is {allowed}"


def problem(field: str, answer: str) -> str | None:
    """What is allowed instead of an answer, or None when the answer is good."""
    if field in TEXTS:
        return allowed_text(answer, TEXTS[field])
    if field == "project_slug":
        return allowed_slug(answer)
    if field == "package_name":
        return allowed_package(answer)
    if field == "aws_region":
        return None if answer in REGIONS else f"allowed are {', '.join(REGIONS)}"
    if field in CHOICES:
        return None if answer in CHOICES[field] else f"allowed are {', '.join(CHOICES[field])}"
    return allowed_form(field, answer)


FIELDS = (
    *TEXTS,
    *("project_slug", "package_name", "author_email", "github_owner", "aws_region"),
    *("dev_account_id", "prod_account_id"),
    *CHOICES,
)


def problems(answers: dict[str, str]) -> list[str]:
    """One line for each answer that is not allowed: its name, what was given, what is allowed."""
    found = ((field, str(answers.get(field, ""))) for field in FIELDS)
    return [f"{field} is {answer!r}: {allowed}" for field, answer in found if (allowed := problem(field, answer))]


def main() -> int:
    """Print every problem; cookiecutter removes what it had begun when there is one."""
    lines = problems(json.loads(ANSWERS))
    if lines:
        print("No project was made:", *lines, sep="\n  ", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
