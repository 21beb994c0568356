"""Sample data: there, with names and pixel sizes, and named in the manifest."""

import re
from pathlib import Path

import pytest

from bayesdl_sim.napari import samples
from bayesdl_sim.napari.steps.layers import MARK
from bayesdl_sim.utils.errors import InputError

MANIFEST = Path(samples.__file__).with_name("napari.yaml")


@pytest.mark.parametrize(
    ("sample", "name", "nm"),
    [("actin", "F-actin", 62.6), ("cristae", "cristae", 65), ("hela", "hela", 65)],
)
def test_stack_has_nine_frames_and_a_pixel_size(sample, name, nm):
    raw, wide_field = getattr(samples, sample)()
    assert raw[0].shape[0] == 9
    assert [layer[1]["name"] for layer in (raw, wide_field)] == [
        f"{name} raw",
        f"{name} wide field",
    ]
    assert 1000 * raw[1]["scale"][-1] == pytest.approx(nm, rel=0.01)
    assert Path(raw[1]["metadata"][MARK]["source"]).is_file()


def test_movie_has_a_hundred_frames():
    ((movie, options, kind),) = samples.blinking()
    assert (movie.shape, kind) == ((100, 40, 40), "image")
    assert options["scale"] == pytest.approx((1, 0.16, 0.16))


def test_missing_sample_is_one_kind_line():
    with pytest.raises(InputError, match="sample data/nothing/raw.tif is missing"):
        samples.sample_path("nothing")


def test_manifest_names_what_is_there():
    text = MANIFEST.read_text(encoding="utf-8")
    places = re.findall(r"python_name: bayesdl_sim.napari.samples:(\w+)", text)
    assert places == ["actin", "cristae", "hela", "blinking"]
    assert all(callable(getattr(samples, name)) for name in places)
