"""A field that is measured in parts and written in bands has the maps of one that is held whole."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import torch

from bayesdl_sim.commands.test import main
from bayesdl_sim.data.stacks import list_stacks, read_stack
from bayesdl_sim.inference.large.parts import parts_of
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared import large_field as field_module
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.utils.errors import InputError
from tests.bayesdl_sim.inference.large.conftest import SIDE

MAPS = ("SR", "Aleatoric", "Epistemic", "Credibility", "Lower", "Upper", "Misfit", "Contradicted")


def call(path, members, folder, *options):
    paths = ["--test_data", str(path), "--save_path", str(folder), "--pretrained_G", str(members)]
    numerics = ["--device", "cpu", "--threads", "1", "--precision", "fp32", "--tile", "128"]
    main([*paths, *numerics, "--pixel_size_nm", "65", "--force", *options])
    return json.loads((folder / "prediction.json").read_text())


@pytest.fixture(scope="module")
def whole(small_blocks, path, members):
    """The reconstruction with all maps in memory."""
    posterior = Posterior.load(members, "cpu", precision="fp32", tile=128)
    stack = replace(read_stack(path), pixel_size_nm=65.0)
    return posterior.reconstruct(stack, MAPS)


def in_counts(facts, image):
    low, high = (facts["normalisation"]["sr_counts"][end] for end in ("low", "high"))
    return low + (high - low) * image


def test_tiles_and_bands_give_the_maps_of_the_whole(small_blocks, path, members, whole, tmp_path):
    facts = call(path, members, tmp_path, "--interval", "0.9", "--misfit")
    assert facts["streamed"]["values_beyond_scale"] == 0
    channels = tifffile.imread(tmp_path / "Channels.ome.tif")
    low, high = whole.scale
    assert facts["channels"] == list(whole.channels)
    for name, image in zip(facts["channels"], channels, strict=True):
        ours, theirs = image, whole.channels[name][0]
        if name == "SR":
            ours, theirs = in_counts(facts, image), low + (high - low) * theirs
        elif name != "Credibility":
            scale = facts["normalisation"]["sr_counts"]
            ours, theirs = image * (scale["high"] - scale["low"]), theirs * (high - low)
        unit = 1.0 if name == "Credibility" else high - low
        np.testing.assert_allclose(ours / unit, theirs / unit, atol=2e-6, err_msg=name)
    for name in ("Misfit", "Contradicted"):
        image = tifffile.imread(tmp_path / f"{name}.tif")
        np.testing.assert_allclose(image, whole.further[name][0], atol=1e-3, err_msg=name)
    assert np.isnan(channels[0][-48:, -80:]).all()
    assert np.isnan(channels[0]).mean() == pytest.approx(24 * 40 / (320 * 448))
    assert facts["verdict"]["decision"] == whole.verdict.decision
    assert facts["fringe_share"] == pytest.approx(whole.fringe_share, abs=1e-3)
    assert {"SR.png", "Overview.png", "report.html"} <= {p.name for p in tmp_path.iterdir()}
    assert not list(tmp_path.rglob("scratch*"))


def test_zarr_holds_the_same_bands(small_blocks, path, members, whole, tmp_path):
    zarr = pytest.importorskip("zarr")
    facts = call(path, members, tmp_path, "--format", "zarr")
    group = zarr.open_group(tmp_path / "Maps.ome.zarr", mode="r")
    sr, (low, high) = in_counts(facts, group["0"][0, 0]), whole.scale
    theirs = low + (high - low) * whole.sr[0]
    np.testing.assert_allclose(sr / (high - low), theirs / (high - low), atol=2e-6)
    level, fine = group["1"][0, 0], group["0"][0, 0]
    means = fine.reshape(320, 2, 448, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(level, means, atol=1e-6)


def test_blocks_change_the_first_guess_less_than_the_noise_does(path, monkeypatch, small_blocks):
    stack = read_stack(path)
    blocks = PreparedStack(stack)
    assert blocks.is_large
    guess, missing = blocks.guess(0), blocks.missing(0)
    norm, patterns = blocks.norm(0), blocks.patterns(0)
    monkeypatch.setattr(field_module, "LARGEST_WHOLE", SIDE**2)
    one = PreparedStack(stack)
    assert not one.is_large
    assert torch.equal(missing, one.missing(0))
    np.testing.assert_allclose(norm, one.norm(0), rtol=1e-4)
    inner = (slice(0, -80), slice(0, -120))
    difference = (guess - one.guess(0))[inner] / norm.scale
    assert float(np.sqrt(np.square(difference).mean())) < 0.01
    ours, theirs = (patterns_of_one.illumination for patterns_of_one in (patterns, one.patterns(0)))
    assert min(one.patterns(0).probability) > 0.9
    np.testing.assert_allclose(ours.frequency, theirs.frequency, atol=1e-4)
    np.testing.assert_allclose(ours.angle, theirs.angle, atol=1e-3)


def test_no_more_of_a_file_is_read_than_is_needed(path, small_blocks, monkeypatch):
    opened = list_stacks(path)[0].open()
    window_pixels = []
    real = type(opened.raw).window

    def window(self, t, rows, columns):
        window_pixels.append((rows.stop - rows.start) * (columns.stop - columns.start))
        return real(self, t, rows, columns)

    monkeypatch.setattr(type(opened.raw), "window", window)
    monkeypatch.setattr(type(opened.raw), "__getitem__", lambda self, t: pytest.fail("all of it"))
    monkeypatch.setattr(field_module, "FILL_MARGIN", 8)
    prepared = PreparedStack(opened)
    prepared.norm(0), prepared.guess(0), parts_of(prepared, 0), prepared.dimming(0)
    assert max(window_pixels) < 0.6 * 320 * SIDE


def test_changes_of_a_large_field_are_refused_before_anything_is_computed(
    small_blocks, members, path, tmp_path
):
    movie = tmp_path / "movie.tif"
    frames = tifffile.imread(path)
    tifffile.imwrite(movie, np.concatenate([frames, frames]), photometric="minisblack")
    with pytest.raises(InputError, match="changes needs the images of all members"):
        call(movie, members, tmp_path / "out", "--changes", "0.9")


def test_parts_of_a_large_field_are_stacks_of_their_own(small_blocks, path):
    prepared = PreparedStack(read_stack(path))
    parts = parts_of(prepared, 0)
    assert 1 < len(parts) <= 4
    for part in parts:
        assert part.together == len(parts)
        rows, columns = part.square
        assert part.prepared.field == (rows.stop - rows.start, columns.stop - columns.start)
        assert part.prepared.norm(0) == prepared.norm(0)
        raw = prepared.counts(0)[:, rows, columns]
        assert torch.equal(part.prepared.counts(0), raw)
        assert part.prepared.patterns(0) == prepared.patterns(0).within(part.square)
    squares = [part.square for part in parts]
    assert all(one != other for one in squares for other in squares if one is not other)
    assert prepared.estimated == [0]
