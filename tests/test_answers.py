"""Which answers make a project and which are refused, each with the field and what is allowed."""

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import boto3
import pytest
from pydantic import TypeAdapter, ValidationError

from mlops.settings.project import Slug

SUPPORTED = [
    ("project_name", "Tumour Classifier"),
    ("project_name", 'Zoë\'s "Modèle" & 模型 №1 (β) #100%'),
    ("project_name", "x"),
    ("project_name", "n" * 60),
    ("description", 'Says "yes" or "no": it\'s 100 % <b>plain</b> text; rm -rf / | & ~ * ?'),
    ("description", "🎗 one emoji"),
    ("author_name", "Ole O'Leary-Ørsted, Jr."),
    ("project_slug", "abc"),
    ("project_slug", "a1-2-b"),
    ("project_slug", "s" * 30),
    ("package_name", "p"),
    ("package_name", "tumour_2"),
    ("author_email", "first.last+tag@sub.example.co"),
    ("github_owner", "A-1"),
    ("github_owner", "o" * 39),
    ("aws_region", "us-east-1"),
    ("dev_account_id", "000000000001"),
    ("scenario", "advanced"),
    ("infrastructure", "none"),
    ("license", "Proprietary"),
    ("model_groups", "later"),
]

REFUSED = [
    ("project_name", ""),
    ("project_name", " "),
    ("project_name", "n" * 61),
    ("project_name", "two\nlines"),
    ("project_name", "{{ cookiecutter.__class__ }}"),
    ("project_name", "{% raw %}"),
    ("project_name", "right\u202eleft"),
    ("description", "$(touch pwned)"),
    ("description", "`touch pwned`"),
    ("description", "${{ github.token }}"),
    ("description", "end\\"),
    ("description", '"""; import os; """'),
    ("description", "bell\a"),
    ("author_name", "tab\tbed"),
    ("project_slug", ""),
    ("project_slug", "ab"),
    ("project_slug", "s" * 31),
    ("project_slug", "Upper-case"),
    ("project_slug", "1-first"),
    ("project_slug", "double--hyphen"),
    ("project_slug", "end-"),
    ("project_slug", "under_score"),
    ("project_slug", "accent-é"),
    ("project_slug", "slug\n"),
    ("project_slug", "../above"),
    ("project_slug", "sthree-model"),
    ("project_slug", "aux"),
    ("project_slug", "scikit-learn"),
    ("package_name", "class"),
    ("package_name", "match"),
    ("package_name", "json"),
    ("package_name", "mlops"),
    ("package_name", "sandbox"),
    ("package_name", "sklearn"),
    ("package_name", "tests"),
    ("package_name", "train"),
    ("package_name", "with-hyphen"),
    ("package_name", "_private"),
    ("package_name", "Größe"),
    ("author_email", "nobody"),
    ("author_email", "a@b"),
    ("author_email", "a@example.com\nBcc: b@example.com"),
    ("author_email", 'a"@example.com'),
    ("github_owner", "-owner"),
    ("github_owner", "two--hyphens"),
    ("github_owner", "owner/repository"),
    ("github_owner", "o" * 40),
    ("aws_region", "eu-west-9"),
    ("aws_region", "eu-west-1 "),
    ("dev_account_id", "12345678901"),
    ("dev_account_id", "1234-5678-9012"),
    ("prod_account_id", "\u0661" * 12),
    ("scenario", "expert"),
    ("infrastructure", "pulumi"),
    ("license", "GPL"),
    ("model_groups", "now"),
]


@pytest.fixture(scope="module")
def hook(template_root: Path) -> ModuleType:
    """hooks/pre_gen_project.py as a module."""
    spec = importlib.util.spec_from_file_location("pre_gen_project", template_root / "hooks" / "pre_gen_project.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("field", "answer"), SUPPORTED)
def test_supported_answers_are_taken(hook: ModuleType, field: str, answer: str) -> None:
    assert hook.problem(field, answer) is None


@pytest.mark.parametrize(("field", "answer"), REFUSED)
def test_refused_answers_are_named_in_one_line(hook: ModuleType, field: str, answer: str) -> None:
    lines = [line for line in hook.problems({field: answer}) if line.startswith(f"{field} is ")]

    assert len(lines) == 1
    assert lines[0].startswith(f"{field} is {answer!r}: ")
    assert "allowed" in lines[0] and "\n" not in lines[0]


@pytest.mark.parametrize("slug", [answer for field, answer in [*SUPPORTED, *REFUSED] if field == "project_slug"])
def test_the_projects_settings_refuse_every_slug_of_a_refused_form(hook: ModuleType, slug: str) -> None:
    try:
        TypeAdapter(Slug).validate_python(slug)
    except ValidationError:
        assert hook.problem("project_slug", slug) is not None
    else:
        # What the hook refuses beyond the form is a matter of the folder and of S3, which only generation sees.
        assert hook.problem("project_slug", slug) is None or slug in {"sthree-model", "aux", "scikit-learn"}


def test_each_region_offered_has_sagemaker(hook: ModuleType) -> None:
    assert set(hook.REGIONS) <= set(boto3.Session().get_available_regions("sagemaker"))


def test_every_name_made_from_the_longest_slug_fits_its_service(hook: ModuleType) -> None:
    slug = "s" * max(hook.SLUG_LENGTH)

    assert hook.problem("project_slug", slug) is None
    assert len(f"{slug}-prod-challenger") <= 63
    assert len(f"{slug}-feature-111111111111") <= 63
    assert len(f"{slug}-feature-evaluate-01234567-99") <= 63


def test_all_problems_are_told_at_once_and_nothing_is_left(
    cookies: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = {"project_slug": "Wrong", "dev_account_id": "12", "aws_region": "mars-1", "author_email": "nobody"}

    result = cookies.bake(extra_context=wrong)

    printed = capfd.readouterr().err
    assert result.exit_code != 0
    assert all(f"{field} is {answer!r}" in printed for field, answer in wrong.items())
    assert list((tmp_path / "cookies" / "bake00").iterdir()) == []


def test_answers_stay_text_in_the_hooks(cookies: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLOPS_TEMPLATE_OFFLINE", "1")
    pwned = tmp_path / "pwned"
    attack = f"'; __import__('pathlib').Path('{pwned}').touch(); \""

    result = cookies.bake(extra_context={"description": attack, "author_name": "'' + str(1) #"})

    assert result.exception is None
    assert not pwned.exists()
