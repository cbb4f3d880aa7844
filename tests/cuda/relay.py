"""Run a file's tests in a process of their own, with another environment, and report them here.

Libraries in place of NVIDIA's must be there before pygenn is imported, and must not be there for
the tests of machines without a GPU. The parent sees each report as if it had run the test itself.
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import pytest

_SHOWN = 10_000  # bytes
_REPORTS = "DELAYSNN_TEST_REPORTS"  # the child's: number of the open file that reports go to


class Child:
    """Tests that run elsewhere, in order; each is asked for once.

    Arguments:
        config: Of the session that shows the reports.
        root: Where the child runs.
        names: Of the tests.
        environment: What differs from the own environment.
    """

    def __init__(
        self, config: pytest.Config, root: Path, names: list[str], environment: Mapping[str, str]
    ) -> None:
        self.config = config
        own, theirs = os.pipe()
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.cuda.relay", *names]
        command += ["-p", "no:xdist", "-p", "no:cacheprovider", "--capture=sys"]
        self.said = TemporaryFile()  # by what is not Python
        self.process = subprocess.Popen(
            command, cwd=root, env=os.environ | environment | {_REPORTS: str(theirs)},
            pass_fds=[theirs], stdout=self.said, stderr=subprocess.STDOUT,
        )  # fmt: skip
        os.close(theirs)
        self.file: IO[str] = os.fdopen(own)

    def reports(self, name: str) -> Iterator[Any]:
        """Give the reports of a test; one of failure if the child ends before."""
        for line in self.file:
            data = json.loads(line)
            report = self.config.hook.pytest_report_from_serializable(config=self.config, data=data)
            if report.failed:
                report.sections.append(("What the process said", self._heard()))
            yield report
            if report.nodeid == name and report.when == "teardown":
                return
        said = self._heard()
        yield pytest.TestReport(
            nodeid=name, location=(name, None, name), keywords={}, outcome="failed",
            longrepr=f"the process of this test ended early ({self.process.wait()}):\n{said}",
            when="call",
        )  # fmt: skip

    def _heard(self) -> str:
        """Return the end of what the process has said."""
        # Without moving the place in the file, which the process shares.
        first = max(0, os.fstat(self.said.fileno()).st_size - _SHOWN)
        return os.pread(self.said.fileno(), _SHOWN, first).decode(errors="replace")

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.file.close()
        self.said.close()


def pytest_configure(config: pytest.Config) -> None:
    """In the child: give every report to the parent."""
    if _REPORTS in os.environ:
        config.pluginmanager.register(_Reporter(config, int(os.environ[_REPORTS])))


class _Reporter:
    def __init__(self, config: pytest.Config, number: int) -> None:
        self.config = config
        self.file = os.fdopen(number, "w")
        os.set_inheritable(number, False)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self.config.hook.pytest_report_to_serializable(config=self.config, report=report)
        print(json.dumps(data), file=self.file, flush=True)
