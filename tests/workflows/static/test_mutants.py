"""Mistakes seeded one at a time: a rule, a promise or a linter catches each, but for those that are listed."""

import re
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


def by_reading(repo: Repository, page: str) -> set[str]:
    """What our rules and promises find; a file that they can not follow any more is found as well."""
    try:
        return {
            *rules.problems(repo),
            *promises.broken(repo),
            *handing.broken(repo),
            *promises.undocumented(repo, page),
        }
    except (KeyError, IndexError, TypeError, ValueError) as error:
        return {f"not readable: {error!r}"}


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


@pytest.mark.slow
def test_a_mistake_is_caught(repo, page, tmp_path):
    survived: list[Mutant] = [each for each in mutants.mutants(repo) if not by_reading(each.repo, page)]
    none = by_linting(repo, tmp_path / "none")

    left = [each for each in survived if by_linting(each.repo, tmp_path / "mutant") <= none]

    assert {each.name for each in left} == set(SURVIVORS)


def test_most_mistakes_are_caught_without_any_tool(repo, page):
    """The quick half of the test above: it fails when a rule is lost."""
    found = [bool(by_reading(each.repo, page)) for each in mutants.mutants(repo)]

    assert found.count(True) > 0.8 * len(found) > 350
