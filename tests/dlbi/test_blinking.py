"""The simulator: light, noise and truth against closed forms."""

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi import blinking
from bayesdl_sim.dlbi.blinking import (
    MARGIN,
    Microscopy,
    background_map,
    binned,
    count_map,
    render,
    sample_fluorophores,
    sample_photons,
    simulate_movie,
)
from bayesdl_sim.dlbi.simulation.switching import FLUOROPHORES
from bayesdl_sim.physics.sensor.camera import Camera

SHAPE = (20, 28)
FINE_SHAPE = tuple(8 * (n + 2 * MARGIN) for n in SHAPE)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def flat():
    return torch.ones(FINE_SHAPE)


def test_number_of_fluorophores_is_poisson_around_the_expected():
    numbers = [len(sample_fluorophores(flat(), 200.0, generator(seed))) for seed in range(200)]
    assert np.mean(numbers) == pytest.approx(200, abs=4 * (200 / 200) ** 0.5)
    assert np.var(numbers) == pytest.approx(200, rel=0.4)


def test_fluorophores_lie_where_the_density_is():
    density = torch.zeros(FINE_SHAPE)
    density[8 * MARGIN + 40, 8 * MARGIN + 80] = 1  # fine pixel (40, 80) of the field
    positions = sample_fluorophores(density, 300.0, generator())
    assert bool((positions[:, 0] >= 40 / 8 - 0.5).all())
    assert bool((positions[:, 0] <= 41 / 8 - 0.5).all())
    counts = count_map(positions, SHAPE)
    assert counts[40, 80] == len(positions) == counts.sum()


def test_photons_have_the_moments_of_a_log_normal():
    states = torch.zeros((1, 200_000), dtype=torch.int8)
    microscopy = Microscopy(photons=250.0, photon_spread=0.4)
    light = sample_photons(states, microscopy, generator()).double()
    deviation = 250 * (np.exp(0.4**2) - 1) ** 0.5
    assert float(light.mean()) == pytest.approx(250, abs=4 * deviation / 200_000**0.5)
    assert float(light.std()) == pytest.approx(deviation, rel=0.02)
    assert sample_photons(states + 1, microscopy, generator()).sum() == 0


def test_rendering_conserves_light_across_tiles(monkeypatch):
    positions = torch.rand((50, 2), generator=generator()) * torch.tensor([6.0, 14.0]) + 7
    photons = torch.rand((50, 3), generator=generator(1)) * 100
    microscopy = Microscopy(width_jitter=0.0)
    whole = render(positions, photons, microscopy, SHAPE, generator())
    torch.testing.assert_close(whole.sum((1, 2)), photons.sum(0), rtol=1e-3, atol=0)
    monkeypatch.setattr(blinking, "TILE", 9)
    pieces = render(positions, photons, microscopy, SHAPE, generator())
    torch.testing.assert_close(whole, pieces, rtol=1e-3, atol=0.02)


def test_coarser_grids_hold_the_same_fluorophores():
    counts = count_map(sample_fluorophores(flat(), 500.0, generator()), SHAPE)
    for factor in (2, 4):
        coarse = binned(counts, factor)
        assert coarse.shape == (8 * SHAPE[0] // factor, 8 * SHAPE[1] // factor)
        assert float(coarse.sum()) == pytest.approx(float(counts.sum()))
    assert binned(counts, 2)[3, 5] == counts[6:8, 10:12].sum()


def test_mean_of_the_movie_is_the_closed_form():
    camera = Camera(gain=2.0, offset=100.0, read_noise_e=1.0)
    microscopy = Microscopy(photons=300.0, background_e=5.0, camera=camera)
    fluorophore = FLUOROPHORES["mEos3.2"]
    movie = simulate_movie(flat(), 2000.0, 200, generator(), fluorophore, microscopy)
    per_pixel = 2000 / (28 * 36)
    expected = 2.0 * (per_pixel * 300 * fluorophore.on_fraction + 5.0) + 100
    assert float(movie.counts.mean()) == pytest.approx(expected, rel=0.06)
    assert movie.background_e == 5.0


def test_noise_has_the_gain_as_slope():
    microscopy = Microscopy(background_e=50.0, camera=Camera(gain=3.0, read_noise_e=2.0))
    density = torch.zeros(FINE_SHAPE)
    density[0, 0] = 1  # far away from the field
    movie = simulate_movie(density, 1.0, 400, generator(), microscopy=microscopy)
    inner = movie.counts[:, 6:, 6:]
    assert float(inner.var(dim=0).mean()) == pytest.approx(9 * (50 + 4), rel=0.03)


def test_same_seed_same_movie():
    first, second = (simulate_movie(flat(), 100.0, 5, generator(4)) for _ in range(2))
    assert torch.equal(first.counts, second.counts)
    assert torch.equal(first.fluorophores, second.fluorophores)


def test_background_is_a_share_of_the_mean_signal():
    microscopy = Microscopy(background_fraction=0.5)
    movie = simulate_movie(flat(), 400.0, 30, generator(), microscopy=microscopy)
    electrons = (movie.counts.mean() - 100) / microscopy.camera.gain
    assert movie.background_e == pytest.approx(float(electrons) / 3, rel=0.02)


def test_an_uneven_background_is_smooth_and_has_its_relief():
    generator = torch.Generator().manual_seed(0)
    image = background_map((60, 45), 0.5, generator)
    assert image.shape == (60, 45)
    assert float(image.mean()) == pytest.approx(1, abs=1e-5)
    assert float(image.log().std()) == pytest.approx(0.5, rel=1e-3)
    assert float(image.log().diff(dim=0).abs().max()) < 0.2
    before = generator.get_state()
    assert torch.equal(background_map((9, 9), 0.0, generator), torch.ones(9, 9))
    assert torch.equal(generator.get_state(), before)
