"""Results as OME-Zarr 0.5: the numbers of the TIFFs, named channels, levels and pixel sizes."""

import importlib.util
import json

import numpy as np
import pytest
import tifffile

from bayesdl_sim.inference.output import zarr_pages
from bayesdl_sim.inference.output.pages import PageLayout
from bayesdl_sim.inference.output.zarr_pages import ZarrPages, require_zarr
from bayesdl_sim.inference.settings import CHANGES, DEFAULT_MAPS, MISFIT
from bayesdl_sim.utils.errors import InputError

zarr = pytest.importorskip("zarr")


@pytest.fixture
def result(posterior, movie):
    return posterior.reconstruct(movie, (*DEFAULT_MAPS, *MISFIT, *CHANGES))


def test_the_maps_are_those_of_the_tiffs(result, tmp_path):
    result.save(tmp_path / "tiff")
    result.save(tmp_path / "zarr", form="zarr")
    assert not list((tmp_path / "zarr").glob("*.tif"))
    assert (tmp_path / "zarr" / "SR.png").read_bytes() == (
        tmp_path / "tiff" / "SR.png"
    ).read_bytes()
    group = zarr.open_group(tmp_path / "zarr" / "Maps.ome.zarr", mode="r")
    names = [row["label"] for row in group.attrs["ome"]["omero"]["channels"]]
    assert names == [*result.channels, "Change", "Changed"]
    channels = tifffile.imread(tmp_path / "tiff" / "Channels.ome.tif")
    np.testing.assert_array_equal(group["0"][:, : len(result.channels)], channels)
    changes = group["0"][:, names.index("Change")]
    assert np.isnan(changes[0]).all()
    np.testing.assert_array_equal(changes[1:], tifffile.imread(tmp_path / "tiff" / "Change.tif"))
    frames = zarr.open_group(tmp_path / "zarr" / "MapsOnFrames.ome.zarr", mode="r")
    np.testing.assert_array_equal(
        frames["0"][:, 1], tifffile.imread(tmp_path / "tiff" / "Misfit.tif")
    )
    assert scale_of(frames, 0) == [1.0, 1.0, 0.065, 0.065]


def scale_of(group, level):
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    return datasets[level]["coordinateTransformations"][0]["scale"]


def test_metadata_follow_the_specification(result, tmp_path):
    result.save(tmp_path, form="zarr")
    stored = json.loads((tmp_path / "Maps.ome.zarr" / "zarr.json").read_text())
    assert (stored["zarr_format"], stored["node_type"]) == (3, "group")
    ome = stored["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (scales,) = ome["multiscales"]
    kinds = {"t": "time", "c": "channel", "y": "space", "x": "space"}
    assert [(axis["name"], axis["type"]) for axis in scales["axes"]] == list(kinds.items())
    assert scales["axes"][3]["unit"] == "micrometer"
    level = json.loads((tmp_path / "Maps.ome.zarr" / "0" / "zarr.json").read_text())
    assert level["dimension_names"] == ["t", "c", "y", "x"]
    for channel in ome["omero"]["channels"]:
        assert len(channel["color"]) == 6
        assert channel["window"]["start"] < channel["window"]["end"]


def layout(size, times=1, pixel_nm=50.0):
    return PageLayout(
        times=times, size=size, channels=("SR",), further={}, pixel_nm=pixel_nm, limits={}
    )


def test_levels_are_means_and_stay_where_they_are(tmp_path):
    """A pixel of a coarser level lies in the middle of those that it is the mean of."""
    image = np.arange(600.0 * 301, dtype=np.float32).reshape(600, 301)
    pages = ZarrPages(tmp_path, layout((600, 301)))
    pages.write(0, {"SR": image}, {})
    group = zarr.open_group(tmp_path / "Maps.ome.zarr", mode="r")
    assert [group[str(level)].shape[2:] for level in range(3)] == [
        (600, 301),
        (300, 151),
        (150, 76),
    ]
    np.testing.assert_allclose(
        group["1"][0, 0, :, :150], image[:, :300].reshape(300, 2, 150, 2).mean(axis=(1, 3))
    )
    np.testing.assert_allclose(group["1"][0, 0, :, 150], image[:, 300].reshape(300, 2).mean(axis=1))
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    assert "translation" not in str(datasets[0])
    for level, entry in enumerate(datasets[1:], start=1):
        scale, move = entry["coordinateTransformations"]
        assert scale["scale"][3] == pytest.approx(0.05 * 2**level)
        assert move["translation"][3] == pytest.approx(0.05 * (2**level - 1) / 2)


def test_a_store_that_was_begun_is_opened_again(tmp_path):
    first = ZarrPages(tmp_path, layout((64, 64), times=2))
    one = first.write(1, {"SR": np.ones((64, 64))}, {})
    again = ZarrPages(tmp_path, layout((64, 64), times=2))
    other = again.write(0, {"SR": np.zeros((64, 64))}, {})
    group = zarr.open_group(tmp_path / "Maps.ome.zarr", mode="r")
    assert group["0"][:, 0, 5, 5].tolist() == [0.0, 1.0]
    assert one != other
    assert again.channels_at(0)["SR"].shape == (1, 64, 64)


def test_without_zarr_the_message_names_the_package(monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        zarr_pages.importlib.util, "find_spec", lambda name: None if name == "zarr" else real(name)
    )
    with pytest.raises(InputError, match=r"pip install 'bayesdl-sim\[zarr\]', or choose tiff"):
        require_zarr()


def test_rows_come_to_lie_where_a_whole_page_would(tmp_path):
    rng = np.random.default_rng(3)
    layout = PageLayout(
        times=1,
        size=(600, 64),
        channels=("SR",),
        further={"Misfit": 1},
        pixel_nm=32.5,
        limits={"SR": (0.0, 1.0), "Misfit": (0.0, 4.0)},
    )
    sr, misfit = (rng.random(size).astype(np.float32) for size in ((600, 64), (300, 32)))
    for name, rows in (("whole", [slice(0, 600)]), ("bands", [slice(0, 512), slice(512, 600)])):
        (tmp_path / name).mkdir()
        pages = ZarrPages(tmp_path / name, layout)
        for part in rows:
            half = slice(part.start // 2, part.stop // 2)
            pages.write(0, {"SR": sr[part]}, {"Misfit": misfit[half]}, part.start)
    for store in ("Maps.ome.zarr", "MapsOnFrames.ome.zarr"):
        whole, bands = (
            zarr.open_group(tmp_path / name / store, mode="r") for name in ("whole", "bands")
        )
        levels = sorted(whole.array_keys())
        assert levels == sorted(bands.array_keys())
        for level in levels:
            np.testing.assert_array_equal(bands[level][:], whole[level][:])
    assert len(levels) == 2


def test_a_store_is_made_again_only_while_the_work_begins(tmp_path):
    limits = {"SR": (0.0, 1.0)}
    layout = PageLayout(
        times=1, size=(64, 64), channels=("SR",), further={}, pixel_nm=None, limits=limits
    )
    with pytest.raises(InputError, match=r"Maps\.ome\.zarr is missing, though this run began it"):
        ZarrPages(tmp_path, layout, existing=True)
    assert not list(tmp_path.iterdir())
    zarr.create_group(tmp_path / "Maps.ome.zarr", zarr_format=3)  # a kill before its arrays
    ZarrPages(tmp_path, layout).write(0, {"SR": np.ones((64, 64))}, {})
    pages = ZarrPages(tmp_path, layout, existing=True)
    assert (pages.channels_at(0)["SR"] == 1).all()
