"""The measured OTFs are what the simulator takes them for."""

import warnings

import mrcfile
import numpy as np
import pytest

from bayesdl_sim.data.formats.otf import MEASURED_OTFS, read_radial_otf
from bayesdl_sim.utils.errors import InputError

NAMES = [path.name[:7] for path, _, _ in MEASURED_OTFS]


@pytest.mark.parametrize(("path", "na", "emission_nm"), MEASURED_OTFS, ids=NAMES)
def test_measured_curve(path, na, emission_nm):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the header is odd, but the user need not hear of it
        curve = read_radial_otf(path)
    modulus = np.array(curve.modulus)
    assert len(modulus) == 257
    assert curve.step_per_um == pytest.approx(0.0312, abs=1e-6)
    assert modulus[0] == 1.0
    assert modulus.min() >= 0
    # It falls steadily to the cut-off, where it reaches the noise floor and stays.
    cutoff = round(2 * na / emission_nm * 1000 / curve.step_per_um)
    assert cutoff < len(modulus)
    assert np.all(np.diff(modulus[:cutoff:5]) < 0)
    assert modulus[cutoff] < 0.02
    assert modulus[cutoff:].max() < 0.03


def test_longer_wavelengths_resolve_less():
    cutoffs = [2 * na / emission_nm for _, na, emission_nm in MEASURED_OTFS]
    assert cutoffs == sorted(cutoffs, reverse=True)


def test_values_are_normalised_moduli(tmp_path):
    line = np.array([[4 + 0j, 2j, -1 + 0j]], np.complex64)
    write(tmp_path / "otf.mrc", line, 0.05)
    curve = read_radial_otf(tmp_path / "otf.mrc")
    assert curve.modulus == (1.0, 0.5, 0.25)
    assert curve.step_per_um == pytest.approx(0.05)


@pytest.mark.parametrize(
    "data",
    [
        np.ones((1, 5), np.float32),
        np.ones((3, 5), np.complex64),
        np.ones((2, 1, 5), np.complex64),
    ],
    ids=["real", "three lines", "a volume"],
)
def test_other_mrc_files_are_refused(tmp_path, data):
    write(tmp_path / "raw.mrc", data, 0.03)
    with pytest.raises(InputError, match="raw.mrc: expected one line of complex") as caught:
        read_radial_otf(tmp_path / "raw.mrc")
    assert "\n" not in str(caught.value)


def test_no_spacing_is_refused(tmp_path):
    write(tmp_path / "otf.mrc", np.ones((1, 5), np.complex64), 0.0)
    with pytest.raises(InputError, match="with its spacing"):
        read_radial_otf(tmp_path / "otf.mrc")


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x01" * 4096])
def test_no_mrc_file_is_refused(tmp_path, content):
    path = tmp_path / "broken.mrc"
    path.write_bytes(content)
    with pytest.raises(InputError, match="broken.mrc"):
        read_radial_otf(path)


def test_truncated_file_is_refused(tmp_path):
    path = tmp_path / "cut.mrc"
    path.write_bytes(MEASURED_OTFS[0][0].read_bytes()[:2000])
    with pytest.raises(InputError, match="cut.mrc"):
        read_radial_otf(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match="measured OTF: no file"):
        read_radial_otf(tmp_path / "none.mrc")


def write(path, data, step):
    with mrcfile.new(path) as file:
        file.set_data(data)
        file.voxel_size = step


@pytest.mark.parametrize(("place", "value"), [(0, 2**30), (8, 2**20), (92, 2**30)])
def test_a_header_that_asks_for_more_than_the_file_takes_no_memory(tmp_path, place, value):
    content = bytearray(MEASURED_OTFS[0][0].read_bytes())
    content[place : place + 4] = value.to_bytes(4, "little")
    (tmp_path / "otf.mrc").write_bytes(content)
    with pytest.raises(InputError, match="otf.mrc is not an MRC file"):
        read_radial_otf(tmp_path / "otf.mrc")
