"""Mistakes seeded one at a time: a rule, a promise or a linter catches each, but for those that are listed."""

import re
from itertools import chain
from pathlib import Path

import pytest
import yaml

from static import documents, handing, linters, mutants, promises, rules
from static.documents import Repository
from static.mutants import Mutant

SURVIVORS = {
    "workflows/_train.yml: without jobs.train.steps.1.with.environment": "feature is the default; said to be seen",
    "workflows/_train.yml: without jobs.train.steps.2.with.environment": "feature is the default; said to be seen",
    "workflows/image.yml: without jobs.image.steps.1.with.environment": "the same",
    "workflows/retrain.yml: without jobs.propose.steps.1.with.environment": "the same",
    "workflows/training-finished.yml: without jobs.take-up.steps.1.with.environment": "the same",
    "workflows/feature.yml: without jobs.report.steps.1.with.environment": "feature is the default; said to be seen",
    "workflows/feature.yml: without jobs.report.concurrency.cancel-in-progress": "an older report is finished first",
    "workflows/base.yml: without jobs.base.concurrency.cancel-in-progress": "an older check is finished first",
    "workflows/monitor.yml: without jobs.monitor.concurrency.cancel-in-progress": "an older look is finished first",
}
"""Mistakes that nothing finds, and why that is so."""

PLACE = re.compile(r":\d+:\d+:|-->.*|^ *\d* *\|.*$", re.MULTILINE)


def found_by_reading(repo: Repository, page: str) -> bool:
    """Whether our rules and promises find something; a file that they can not follow any more is found as well."""
    try:
        promised = (promises.broken(repo), handing.broken(repo), promises.undocumented(repo, page))
        return next(chain(rules.problems(repo), *promised), None) is not None
    except (KeyError, IndexError, TypeError, ValueError):
        return True


def by_linting(repo: Repository, folder: Path) -> set[str]:
    """What actionlint and zizmor find, without line numbers. Comments are lost on the way: compare with no mistake."""
    for path, document in repo.documents.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(document, sort_keys=False, width=10_000), encoding="utf-8")
    found = linters.actionlint(folder, scripts=False) + linters.composites(folder, repo, scripts=False)
    return set(PLACE.sub("", found).splitlines()) | {linters.zizmor_findings(folder)}


@pytest.fixture(scope="module")
def repo(folder):
    """The workflows and actions, without a mistake."""
    return documents.repository(folder)


@pytest.fixture(scope="module")
def seeded(repo) -> list[Mutant]:
    """The mistakes."""
    return list(mutants.mutants(repo))


@pytest.fixture(scope="module")
def survived(seeded, page) -> list[Mutant]:
    """Those that nothing finds by reading."""
    return [each for each in seeded if not found_by_reading(each.repo, page)]


@pytest.mark.slow
def test_a_mistake_is_caught(repo, survived, tmp_path):
    none = by_linting(repo, tmp_path / "none")

    left = [each for each in survived if by_linting(each.repo, tmp_path / "mutant") <= none]

    assert {each.name for each in left} == set(SURVIVORS)


def test_most_mistakes_are_caught_without_any_tool(repo, page, seeded, survived):
    """The quick half of the test above: it fails when a rule is lost."""
    assert not found_by_reading(repo, page)
    assert len(seeded) - len(survived) > 0.8 * len(seeded) > 350
