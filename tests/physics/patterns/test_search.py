"""Three weak peaks that fan out by 60 degrees are found; noise gives no evidence."""

import math

import pytest
import torch

from bayesdl_sim.physics.patterns.search import find_fan, log_evidence

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
    assert fan.evidence > 6
    assert min(fan.evidences) > 3


def test_peaks_that_do_not_fan_out_are_no_evidence():
    maps = noise_maps(seed=2)
    for o, angle in enumerate((0.1, 0.5, 2.0)):
        put(maps, o, 0.26, angle, height=4.2)
    assert find_fan(maps).evidence < 4.5


@pytest.mark.parametrize("seed", range(4))
def test_noise_gives_no_evidence(seed):
    assert find_fan(noise_maps(10 + seed)).evidence < 4.5


def test_an_orientation_without_a_peak_is_named():
    maps = noise_maps(seed=3)
    for o in (0, 2):
        put(maps, o, 0.26, 0.4 + o * math.pi / 3, height=8.0)
    fan = find_fan(maps)
    assert fan.evidence > 20
    assert fan.evidences[1] < 3 < min(fan.evidences[0], fan.evidences[2])


def test_evidence_of_a_height_is_the_likelihood_gained_less_what_an_amplitude_costs():
    heights = torch.tensor([0.0, 1.0, 4.0, 10.0], dtype=torch.float64)
    energy = math.log(2) * heights**2
    expected = [0.0, 0.0, *(float(e - 1 - e.log()) for e in energy[2:])]
    assert log_evidence(heights).tolist() == pytest.approx(expected)
