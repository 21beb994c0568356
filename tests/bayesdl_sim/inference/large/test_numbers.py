"""Numbers that are counted band by band are those of the whole result, and overviews come back."""

from dataclasses import replace

import numpy as np
import pytest

from bayesdl_sim.data.normalise import Normalisation
from bayesdl_sim.inference.facts import result_numbers
from bayesdl_sim.inference.large.numbers import Numbers
from bayesdl_sim.inference.large.overview import read_overview_maps, write_overview_maps
from bayesdl_sim.inference.large.point import TiledPoint, _binned, _joined
from bayesdl_sim.inference.reconstruction import Reconstruction

SIZE = (96, 80)  # of the doubled grid


@pytest.fixture
def result():
    """Maps of random numbers, some without data, some beyond the scale."""
    rng = np.random.default_rng(4)

    def image(size=SIZE):
        return rng.random((1, *size)).astype(np.float32)

    sr = 1.2 * image() - 0.1
    sr[0, :10, :20] = np.nan
    credibility = np.where(np.isnan(sr), 0, image())
    scale = Normalisation(100.0, 300.0)
    contradicted = 12 * image((48, 40)) - 6
    return Reconstruction(
        sr=sr,
        aleatoric=image(),
        epistemic=image(),
        total=image(),
        scale=scale,
        channels={"SR": sr, "Credibility": credibility},
        wide_field=image((48, 40)),
        further={"Contradicted": contradicted},
        raw_scales=[scale],
        factors=[1.25],
    )


def band_of(result, first, last):
    """Some rows of the doubled grid."""

    def rows(image):
        coarser = SIZE[0] // image.shape[1]
        return image[:, first // coarser : last // coarser]

    names = ("sr", "aleatoric", "epistemic", "total", "wide_field")
    return replace(
        result,
        **{name: rows(getattr(result, name)) for name in names},
        channels={name: rows(image) for name, image in result.channels.items()},
        further={name: rows(image) for name, image in result.further.items()},
    )


def test_they_are_those_of_the_whole(result):
    numbers = Numbers(float(np.nanquantile(result.sr, 0.8)))
    for first, last in ((0, 32), (32, 64), (64, 96)):
        numbers.add(band_of(result, first, last))
    result_of_bands, expected = numbers.result(), result_numbers(result)
    assert set(result_of_bands) == set(expected)
    for name, value in expected.items():
        assert result_of_bands[name] == pytest.approx(value, rel=1e-5), name
    assert numbers.beyond == int(((result.sr < 0) | (result.sr > 1)).sum())
    assert numbers.factor == pytest.approx(1.25)


def test_binned_bands_join_to_the_binned_whole(result):
    bands = [band_of(result, first, last) for first, last in ((0, 32), (32, 64), (64, 96))]
    joined, whole = _joined([_binned(band, 2) for band in bands]), _binned(result, 2)
    assert whole.sr.shape == (1, 24, 20)
    assert whole.wide_field.shape == (1, 12, 10)
    for name in ("sr", "total", "wide_field"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
    np.testing.assert_array_equal(joined.channels["Credibility"], whole.channels["Credibility"])
    np.testing.assert_array_equal(joined.further["Contradicted"], whole.further["Contradicted"])


def test_an_overview_comes_back_from_its_file(result, tmp_path):
    point = TiledPoint(
        overview=_binned(result, 1), halvings=1, numbers={}, beyond_scale=0, bands=list
    )
    write_overview_maps(tmp_path / "overview.npz", point)
    channels, further, wide_field, halvings = read_overview_maps(tmp_path / "overview.npz")
    assert list(channels) == ["SR", "Credibility"]
    assert list(further) == ["Contradicted"]
    np.testing.assert_array_equal(channels["SR"], point.overview.sr)
    np.testing.assert_array_equal(wide_field, point.overview.wide_field)
    assert halvings == 1
