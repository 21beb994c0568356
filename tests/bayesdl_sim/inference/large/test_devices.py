"""A large field and a series, part by part, on another device than the CPU."""

import numpy as np
import pytest
import tifffile

from bayesdl_sim.data.stacks import list_stacks
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared import large_field as field_module
from bayesdl_sim.inference.settings import DEFAULT_MAPS, MISFIT, SHARP, MapSettings
from bayesdl_sim.inference.streaming.run import SeriesRun

# torch takes the other device for its own `meta`, on which copies do nothing.
pytestmark = pytest.mark.filterwarnings("ignore:.*copying from a non-meta parameter")
MAPS = (*DEFAULT_MAPS, *MISFIT, *SHARP)


def streamed(path, members, device, folder):
    """The channels of a file that is read, reconstructed and written part by part."""
    posterior = Posterior.load(members, device, precision="fp32", tile=128)
    prepared = posterior.prepare(list_stacks(path)[0].open())
    run = SeriesRun(posterior, prepared, folder, "one", MAPS, MapSettings())
    run.begin(lambda *_: None)
    run.make(range(len(prepared)), "all", lambda *_: None)
    result = run.finish()
    return tifffile.imread(folder / "Channels.ome.tif"), result.verdict


def compared(path, members, tmp_path, other_device):
    reference = streamed(path, members, "cpu", tmp_path / "here")
    with other_device.working() as device:
        on_device = streamed(path, members, device, tmp_path / "there")
    np.testing.assert_allclose(on_device[0], reference[0], atol=2e-3)
    assert on_device[1].decision == reference[1].decision


def test_a_large_field_stays_on_its_device(
    small_blocks, path, members, tmp_path, other_device, monkeypatch
):
    monkeypatch.setattr(field_module, "JUDGED_SQUARES", 1)
    frames = tifffile.imread(path)[:, -170:, -200:]  # four blocks, and the gap
    tifffile.imwrite(tmp_path / "field.tif", frames, photometric="minisblack")
    compared(tmp_path / "field.tif", members, tmp_path, other_device)


def test_a_series_stays_on_its_device(path, members, tmp_path, other_device):
    frames = tifffile.imread(path)[:, 100:180, 100:196]
    tifffile.imwrite(
        tmp_path / "series.tif", np.concatenate([frames] * 3), photometric="minisblack"
    )
    compared(tmp_path / "series.tif", members, tmp_path, other_device)
