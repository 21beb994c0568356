"""Random scenes: every draw within its range, every setting used, nothing from global state."""

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi.blinking import MARGIN
from bayesdl_sim.dlbi.simulation.scenes import (
    AIRY,
    FRAMES,
    FWHM_PX,
    ON_FRACTION,
    PHOTONS,
    SHARES,
    UNEVEN,
    draw_density,
    random_fluorophore,
    random_microscopy,
    random_scene,
)
from bayesdl_sim.physics.structures.mixture import KINDS


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_fluorophores_cover_the_range():
    source = generator()
    drawn = [random_fluorophore(source) for _ in range(400)]
    on = np.array([fluorophore.on_fraction for fluorophore in drawn])
    assert on.min() >= ON_FRACTION[0] - 1e-9
    assert on.max() <= ON_FRACTION[1] + 1e-9
    assert np.quantile(on, 0.05) < 0.02
    assert np.quantile(on, 0.95) > 0.4
    bleaching = np.array([fluorophore.p5 > 0 for fluorophore in drawn])
    assert bleaching.mean() == pytest.approx(0.5, abs=4 * 0.5 / 20)


def test_some_blink_slowly_and_some_nearly_independently():
    source = generator()
    drawn = [random_fluorophore(source) for _ in range(200)]
    lags = np.array([fluorophore.p1 - fluorophore.p3 for fluorophore in drawn])
    assert lags.min() < 0.1
    assert lags.max() > 0.6


def test_microscopes_cover_the_range():
    source = generator()
    drawn = [random_microscopy(source) for _ in range(200)]
    for low_high, values in (
        (FWHM_PX, [microscopy.fwhm_px for microscopy in drawn]),
        (PHOTONS, [microscopy.photons for microscopy in drawn]),
        ((0.3, 5.0), [microscopy.camera.gain for microscopy in drawn]),
    ):
        assert low_high[0] <= min(values) < low_high[0] * 1.25
        assert low_high[1] * 0.8 < max(values) <= low_high[1]


def test_some_backgrounds_are_uneven_and_some_spots_airy():
    source = generator()
    drawn = [random_microscopy(source) for _ in range(400)]
    uneven = np.mean([microscopy.background_relief > 0 for microscopy in drawn])
    airy = np.mean([microscopy.kernel == "airy" for microscopy in drawn])
    assert uneven == pytest.approx(UNEVEN, abs=0.1)
    assert airy == pytest.approx(AIRY, abs=0.07)
    assert all(m.width_jitter == 0 for m in drawn if m.kernel == "airy")


def test_shares_of_structures():
    assert sum(SHARES.values()) == pytest.approx(1)
    assert set(SHARES) <= set(KINDS)


def test_a_density_has_a_margin_and_structure_in_the_field():
    density = draw_density("CCPs", (16, 20), 20.0, generator(), 0.2)
    assert density.shape == (8 * (16 + 2 * MARGIN), 8 * (20 + 2 * MARGIN))
    edge = 8 * MARGIN
    inside = density[edge:-edge, edge:-edge].sum()
    assert float(inside) > 0.1 * float(density.sum())


def test_a_scene_fits_together():
    scene = random_scene((12, 14), generator(5))
    frames = len(scene.movie.counts)
    assert FRAMES[0] <= frames <= FRAMES[1]
    assert scene.movie.counts.shape == (frames, 12, 14)
    assert scene.movie.fluorophores.shape == (96, 112)
    assert scene.movie.states.shape[1] == frames
    emitted = float((scene.movie.states == 0).float().mean()) * scene.microscopy.photons
    assert scene.brightness_e == pytest.approx(emitted, rel=0.5)


def test_scenes_need_no_global_state():
    before = torch.random.get_rng_state()
    first, second = (random_scene((10, 10), generator(2)) for _ in range(2))
    assert torch.equal(first.movie.counts, second.movie.counts)
    assert torch.equal(torch.random.get_rng_state(), before)
