"""Pixels that never change or are too bright alone, beside light that only looks like them."""

import pytest
import torch

from bayesdl_sim.dlbi.movies.pixels import MOST_FAULTY, faulty_pixels
from bayesdl_sim.dlbi.simulation.scenes import random_scene


def found(counts):
    constant = counts.amin(dim=0) == counts.amax(dim=0)
    mean, variance = counts.double().mean(dim=0), counts.double().var(dim=0)
    return faulty_pixels(constant, counts.amax(dim=0), mean, variance)


def noisy():
    generator = torch.Generator().manual_seed(0)
    return (200 + 30 * torch.randn((40, 30, 30), generator=generator)).round()


def test_stuck_and_hot_pixels_are_told_apart():
    counts, generator = noisy(), torch.Generator().manual_seed(1)
    counts[:, 3, 4] = 0
    counts[:, 8, 9] = 65535
    counts[:, 20, 5] += torch.poisson(torch.full((40,), 900.0), generator=generator)
    counts[7, 25, 25] += 5000  # a cosmic ray
    faulty = found(counts)
    assert faulty.stuck.nonzero().tolist() == [[3, 4], [8, 9]]
    assert faulty.hot.nonzero().tolist() == [[20, 5], [25, 25]]
    assert torch.equal(faulty.either, faulty.stuck | faulty.hot)


def test_many_isolated_pixels_are_no_faults_but_another_kind_of_image():
    counts = noisy()
    counts[:, ::5, ::5] += 2000 * torch.rand((40, 6, 6), generator=torch.Generator().manual_seed(2))
    assert MOST_FAULTY < 36 / 900
    assert not bool(found(counts).either.any())


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("per_pixel", [(0.01, 0.05), (1.0, 10.0)])
def test_no_pixel_of_a_simulated_movie_is_faulty(seed, per_pixel):
    generator = torch.Generator().manual_seed(500 + seed)
    scene = random_scene((24, 24), generator, frames=(12, 60)[seed % 2], per_pixel=per_pixel)
    assert not bool(found(scene.movie.counts).either.any())
