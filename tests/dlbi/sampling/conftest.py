"""One sparse movie for all tests of the sampler."""

import pytest

from tests.dlbi.toys import sparse_ring


@pytest.fixture(scope="session")
def sparse_toy():
    return sparse_ring()
