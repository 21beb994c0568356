"""Which files a stack leaves, and what an earlier run left."""

import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.formats.tiff import read_tiff
from bayesdl_sim.inference.output import result_files
from bayesdl_sim.inference.output.map_kinds import FACTS, MAPS
from bayesdl_sim.inference.output.names import file_names
from bayesdl_sim.inference.output.result_files import result_folders, write_results
from bayesdl_sim.utils.files import read_json

FINE, RAW = (40, 48), (20, 24)


def maps(names, shape=FINE):
    rng = np.random.default_rng(0)
    return {name: rng.random((1, *shape)).astype(np.float32) for name in names}


def test_maps_keep_their_grid_and_their_pixel_size(tmp_path):
    channels = maps(("SR", "Aleatoric", "Total", "Credibility"))
    further = maps(("Contradicted",), RAW)
    wide_field = maps(("wide",), RAW)["wide"]
    write_results(tmp_path, channels, further, wide_field, 65.0, {"delta": 0.04})
    for name, pixel_size_nm in (("SR", 32.5), ("Aleatoric", 32.5), ("Contradicted", 65.0)):
        image, stored_nm = read_tiff(tmp_path / f"{name}.tif")
        assert stored_nm == pytest.approx(pixel_size_nm, rel=1e-4)
        assert image[0].shape == (RAW if name == "Contradicted" else FINE)
    assert not (tmp_path / "Total.tif").exists()  # a channel only
    assert tifffile.imread(tmp_path / "Channels.ome.tif").shape == (4, *FINE)
    assert read_json(tmp_path / FACTS) == {"delta": 0.04}
    assert not (tmp_path / "Patterns.png").exists()  # no fringes were searched for


def test_a_full_disk_leaves_the_earlier_result_as_it_was(tmp_path, monkeypatch):
    wide_field = maps(("wide",), RAW)["wide"]
    write_results(tmp_path, maps(("SR", "Total")), {}, wide_field, None, {})
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_):
        raise OSError("1000 requested and 0 written")

    monkeypatch.setattr(result_files, "write_channels", full)
    with pytest.raises(OSError, match="requested"):
        write_results(tmp_path, maps(("SR", "Aleatoric")), {}, wide_field, None, {})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_what_an_earlier_run_left_is_removed(tmp_path):
    wide_field = maps(("wide",), RAW)["wide"]
    everything = maps(name for name in MAPS if not MAPS[name].raw_grid)
    on_raw = maps((name for name in MAPS if MAPS[name].raw_grid), RAW)
    write_results(tmp_path, everything, on_raw, wide_field, None, {})
    assert file_names() <= {path.name for path in tmp_path.iterdir()}
    write_results(tmp_path, maps(("SR",)), {}, wide_field, None, {})
    left = {path.name for path in tmp_path.iterdir()}
    images = {"SR.tif", "Channels.ome.tif", "Channels.tif"}
    assert left == images | {"SR.png", "Overview.png", "Profile.png", "report.html", FACTS}


@pytest.mark.parametrize(
    ("files", "names"),
    [
        (["a.tif", "b.tif"], ["a", "b"]),
        (["a.mrc", "a.tif"], ["a_mrc", "a_tif"]),
        (["a.mrc", "a.tif", "a_tif.tif"], ["a_mrc", "a_tif_2", "a_tif"]),
        (["A.tif", "a.tif"], ["A_tif", "a_tif_2"]),
        (["a.tif", "A.TIF", "a_TIF_2.dv"], ["a_tif", "A_TIF_3", "a_TIF_2"]),
        (["x/a.tif", "y/a.tif", "z/a.tif"], ["a_tif", "a_tif_2", "a_tif_3"]),
    ],
)
def test_no_two_stacks_share_a_folder(files, names, tmp_path):
    folders = result_folders([tmp_path / name for name in files], tmp_path / "out")
    assert [folder.name for folder in folders] == names
    assert {folder.parent for folder in folders} == {tmp_path / "out"}


def test_two_stacks_of_one_name_in_one_file_have_two_folders(tmp_path):
    folders = result_folders([tmp_path / "a.czi"] * 2, tmp_path / "out", ["a_488", "a_488"])
    assert [folder.name for folder in folders] == ["a_488_czi", "a_488_czi_2"]
