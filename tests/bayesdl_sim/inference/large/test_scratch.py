"""What lies on the disk for a while comes back as it was."""

import numpy as np
import pytest

from bayesdl_sim.inference.large import scratch as scratch_module
from bayesdl_sim.inference.large.scratch import Scratch


@pytest.fixture
def scratch(tmp_path, monkeypatch):
    monkeypatch.setattr(scratch_module, "BAND", 16)
    return Scratch(tmp_path / "a.bin", ("mean", "total"), (40, 30))


def test_parts_come_back(scratch):
    rng = np.random.default_rng(0)
    images = {name: rng.random((40, 30)).astype(np.float32) for name in scratch.names}
    for name, image in images.items():
        for rows in (slice(0, 25), slice(25, 40)):
            for columns in (slice(0, 7), slice(7, 30)):
                scratch.write(name, (rows, columns), image[rows, columns])
    for name, image in images.items():
        square = (slice(3, 31), slice(5, 29))
        np.testing.assert_array_equal(scratch.read(name, square), image[square])
    corner = (slice(0, 4), slice(0, 4))
    part = scratch.read("mean", corner)
    part += 1  # a copy: the file keeps what it has
    np.testing.assert_array_equal(scratch.read("mean", corner), images["mean"][corner])


def test_bands_cover_all_rows_in_steps_that_can_be_halved(scratch):
    bands = list(scratch.bands())
    assert [band[0] for band in bands] == [slice(0, 16), slice(16, 32), slice(32, 40)]
    assert all(band[1] == slice(0, 30) for band in bands)


def test_it_begins_empty_whatever_lay_there_and_can_be_removed(tmp_path):
    path = tmp_path / "a.bin"
    path.write_bytes(b"of an earlier run" * 1000)
    scratch = Scratch(path, ("mean",), (8, 8))
    whole = (slice(0, 8), slice(0, 8))
    assert not scratch.read("mean", whole).any()
    assert path.stat().st_size == 8 * 8 * 4
    scratch.remove()
    scratch.remove()
    assert not path.exists()
