"""Three weak peaks that fan out by 60 degrees are found; noise gives no evidence."""

import math

import pytest
import torch

from bayesdl_sim.physics.patterns.search import USUAL_ENERGY, find_fan, log_evidence

SIDE = 256  # of a map: frequencies of 1 / 256 cycles per raw pixel


def noise_maps(seed):
    """Rayleigh noise with median 1, as `score_map` gives where there is nothing."""
    generator = torch.Generator().manual_seed(seed)
    uniform = torch.rand(3, SIDE, SIDE, generator=generator, dtype=torch.float64)
    return [(-torch.log2(m)).sqrt().float() for m in uniform]


def put(maps, o, frequency, angle, height):
    """A peak at a wave vector; returns the place it went to, in cycles per pixel."""
    row, column = (round(SIDE * frequency * side(angle)) for side in (math.sin, math.cos))
    maps[o][row % SIDE, column % SIDE] = height
    return row / SIDE, column / SIDE


def apart(wave, place):
    return min(math.hypot(wave[0] - s * place[0], wave[1] - s * place[1]) for s in (1, -1))


@pytest.mark.parametrize(("start", "sense"), [(0.0, 1), (1.1, -1), (2.9, 1)])
def test_weak_peaks_are_found_by_their_fan(start, sense):
    maps, places = noise_maps(seed=1), []
    for o, frequency in enumerate((0.262, 0.26, 0.257)):
        places.append(put(maps, o, frequency, start + sense * o * math.pi / 3, height=4.2))
    fan = find_fan(maps)
    assert max(apart(w, p) for w, p in zip(fan.waves, places, strict=True)) < 1e-9
    assert fan.heights == pytest.approx([4.2] * 3)
    assert fan.evidence > 5
    assert min(fan.evidences) > 3


def test_peaks_that_do_not_fan_out_are_no_evidence():
    maps = noise_maps(seed=2)
    for o, angle in enumerate((0.1, 0.5, 2.0)):
        put(maps, o, 0.26, angle, height=4.2)
    assert find_fan(maps).evidence < 0.5


@pytest.mark.parametrize("seed", range(4))
def test_noise_gives_no_evidence(seed):
    assert find_fan(noise_maps(10 + seed)).evidence < 0.5


def test_an_orientation_without_a_peak_is_named():
    maps = noise_maps(seed=3)
    for o in (0, 2):
        put(maps, o, 0.26, 0.4 + o * math.pi / 3, height=8.0)
    fan = find_fan(maps)
    assert fan.evidence > 20
    assert fan.evidences[1] < 3 < min(fan.evidences[0], fan.evidences[2])


def test_evidence_is_a_bayes_factor_whose_mean_over_noise_is_one():
    generator = torch.Generator().manual_seed(5)
    energy = -torch.rand(400_000, generator=generator, dtype=torch.float64).log()
    height = (energy / math.log(2)).sqrt()
    # The mean of a law with a heavy tail: half of the energy's factor makes it finite.
    odds = log_evidence(height)
    weight = (-energy * USUAL_ENERGY / (1 + USUAL_ENERGY)).exp()
    assert float((odds.exp() * weight).mean()) == pytest.approx(1 / (1 + USUAL_ENERGY), rel=0.01)
    assert float(log_evidence(torch.zeros(1))) == pytest.approx(-math.log(1 + USUAL_ENERGY))


def test_two_peaks_of_one_orientation_share_its_certainty():
    maps = noise_maps(seed=4)
    for o in range(3):
        put(maps, o, 0.26, 0.4 + o * math.pi / 3, height=7.0)
    assert min(find_fan(maps).certainties) > 0.95
    put(maps, 1, 0.26 + 3 / SIDE, 0.4 + math.pi / 3, height=7.0)
    sure = find_fan(maps).certainties
    assert sure[1] < 0.85
    assert min(sure[0], sure[2]) > 0.9


def test_another_fan_takes_its_share_of_all_certainties():
    maps = noise_maps(seed=4)
    for angle in (0.4, 0.9):
        for o in range(3):
            put(maps, o, 0.26, angle + o * math.pi / 3, height=5.5)
    assert max(find_fan(maps).certainties) < 0.8
