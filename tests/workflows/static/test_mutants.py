"""Mistakes seeded one at a time: a rule or a promise catches each, but for those that are listed."""

from collections import Counter
from collections.abc import Collection
from itertools import chain

import pytest

from mlops.workflows import documents, rules
from mlops.workflows.documents import Repository
from static import handing, mutants, page, promises, values, waits
from static.mutants import Mutant

SURVIVORS = {
    "workflows/feature.yml: jobs.report.if is \"${{ github.base_ref == 'dev' && (github.event.action": (
        "without its first part, whether it is a pull request: only a pull request has a base"
    ),
}
"""Mistakes that nothing finds, by how their names begin, and why that is so."""

KINDS = {"forgotten", "boolean", "condition", "cron", "event", "job", "line", "list", "literal", "lock", "number",
         "option", "order", "reference", "text", "uses", "variable", "word"}  # fmt: skip


def found_by_reading(repo: Repository, told: str, of: Collection[str] | None = None) -> bool:
    """Whether our rules and promises find something; a file that they can not follow any more is found as well."""
    try:
        read = (
            values.broken(repo, of),
            waits.broken(repo, of),
            rules.problems(repo, of),
            promises.broken(repo, of),
            page.broken(repo, told),
            handing.broken(repo) if of is None or handing.CALLED in of else (),
        )
        return next(chain(*read), None) is not None
    except (AttributeError, KeyError, IndexError, RecursionError, TypeError, ValueError):
        return True


@pytest.fixture(scope="module")
def repo(folder):
    """The workflows and actions, without a mistake."""
    return documents.repository(folder)


@pytest.fixture(scope="module")
def seeded(repo) -> list[Mutant]:
    """The mistakes."""
    return list(mutants.mutants(repo))


def test_a_mistake_is_caught(repo, seeded, told):
    touched = {path: repo.touched(path) for path in repo.documents}

    left = [each.name for each in seeded if not found_by_reading(each.repo, told, touched[each.path])]

    assert not found_by_reading(repo, told)
    assert [name for name in left if not name.startswith(tuple(SURVIVORS))] == []
    assert len(left) == len(SURVIVORS)


def test_mistakes_of_every_kind_are_seeded_in_every_file(repo, seeded):
    kinds = Counter(each.kind for each in seeded)

    assert set(kinds) == KINDS
    assert {each.path for each in seeded} == set(repo.documents)
    assert len({each.name for each in seeded}) == len(seeded) > 2000
