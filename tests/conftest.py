"""Before any test imports numpy: one thread for every numerical library, as in every process of a run."""

from protocol.determinism import threads

threads.pin()

from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402
from hypothesis import settings  # noqa: E402

from tests import postgres as servers  # noqa: E402
from tests import tiers  # noqa: E402
from tests.postgres import NoServerError, PostgresServer, postgres_server  # noqa: E402

settings.register_profile("house", deadline=None)  # the first example of a kind loads what it needs
settings.load_profile("house")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Which schemes were played in real processes; also after `pytest -q`, which prints no header."""
    terminalreporter.write_line(tiers.summary())


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL server. Without one its tests are skipped, or fail where TEST_POSTGRES=required."""
    try:
        with postgres_server() as server:
            yield server
    except NoServerError as error:
        if servers.REQUIRED:
            raise
        pytest.skip(f"{error} (TEST_POSTGRES=required makes this a failure)")


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'runs.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.database()
