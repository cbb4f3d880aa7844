"""All commands of README and of all other pages, run."""

import pytest

from tests.docs_commands.pages import Step, pages
from tests.docs_commands.running import run_here

PAGES = pages(".")

pytestmark = pytest.mark.docs


@pytest.mark.parametrize("step", run_here(PAGES), ids=str)
def test_it_runs(step: Step, book) -> None:
    book[step.page].check(step.number)
