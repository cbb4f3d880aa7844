"""All commands of the how-to guides, run."""

import pytest

from tests.docs_commands.pages import Step, pages, steps

PAGES = pages("how-to")

pytestmark = pytest.mark.docs


@pytest.mark.parametrize("step", [step for page in PAGES for step in steps(page)], ids=str)
def test_it_runs(step: Step, book) -> None:
    book[step.page].check(step.number)
