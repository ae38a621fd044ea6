"""What the tests of the processing image share."""

from collections.abc import Iterator

import pytest

from tests.unit.containers.processing.ingest_job import database


@pytest.fixture(autouse=True, scope="session")
def closed_database() -> Iterator[None]:
    """Close the shared database: DuckDB reports what is open at the exit as leaked."""
    yield
    database.cache_clear()
