"""Frames belong together by their common wave vectors, however weak these are in each."""

import cmath
import math

import pytest
import torch

from bayesdl_sim.physics.optics import TYPICAL_OPTICS
from bayesdl_sim.physics.patterns.correlation import field_of
from bayesdl_sim.physics.patterns.frames.partition import PARTITIONS, STATED, weigh_partitions
from bayesdl_sim.physics.patterns.scores import searched_places

SIDE = 72  # raw pixels of the field; the maps have twice as many frequencies
FREQUENCY, START = 0.27, 0.35


@pytest.fixture(scope="module")
def field():
    return field_of(TYPICAL_OPTICS, torch.ones(SIDE, SIDE))


def noise(field, seed=0):
    """Amplitudes of frames without fringes: complex, of power 1."""
    generator, width = torch.Generator().manual_seed(seed), 2 * field.transfer.shape[1]
    places = searched_places(field).places
    parts = torch.randn(2, 9, len(places), generator=generator)
    return torch.complex(*parts)[:, places % width <= width // 2] / math.sqrt(2)


def with_fringes(field, partition, height, seed=0):
    """Noise and a wave vector of three phases for each triple of a partition."""
    amplitudes = noise(field, seed)
    width = 2 * field.transfer.shape[1]
    for o, triple in enumerate(partition):
        angle = START + o * math.pi / 3
        row, column = (round(width * FREQUENCY * f(angle)) for f in (math.sin, math.cos))
        if column < 0:
            row, column = -row, -column
        wave = torch.tensor([row, column]) / width
        place = int((searched_places(field).half_waves - wave).abs().sum(dim=1).argmin())
        for step, frame in enumerate(triple):
            amplitudes[frame, place] += cmath.rect(height, 0.3 + o + step * 2 * math.pi / 3)
    return amplitudes


def test_nine_frames_part_into_three_triples_in_280_ways():
    assert len(PARTITIONS) == len(set(PARTITIONS)) == 280
    assert PARTITIONS[STATED] == ((0, 1, 2), (3, 4, 5), (6, 7, 8))
    assert all(sorted(sum(parts, ())) == list(range(9)) for parts in PARTITIONS)


@pytest.mark.parametrize("number", [STATED, 0, 17, 279])
def test_fringes_too_weak_for_one_frame_tell_all_three_orientations(field, number):
    amplitudes = with_fringes(field, PARTITIONS[number], height=2.6)
    assert float(amplitudes.abs().max()) < 4.6  # no more than noise has somewhere
    weighed = weigh_partitions(amplitudes, field)
    assert weighed.best == number
    rest = torch.cat([weighed.evidence[:number], weighed.evidence[number + 1 :]])
    assert float(weighed.evidence[number] - rest.max()) > 3
    for o, (ky, kx) in enumerate(weighed.waves[number].tolist()):
        angle = START + o * math.pi / 3
        true = (FREQUENCY * math.sin(angle), FREQUENCY * math.cos(angle))
        assert min(math.hypot(ky - s * true[0], kx - s * true[1]) for s in (1, -1)) < 0.02


@pytest.mark.parametrize("seed", range(3))
def test_noise_prefers_no_partition(field, seed):
    evidence = weigh_partitions(noise(field, seed), field).evidence
    assert bool(torch.isfinite(evidence).all())
    assert float(evidence.max()) < 3  # fringes are believed from 6 on


def test_the_order_within_a_triple_does_not_matter(field):
    amplitudes = with_fringes(field, PARTITIONS[40], height=3.0)
    order = [n for parts in PARTITIONS[40] for n in reversed(parts)]
    moved = torch.empty_like(amplitudes)
    moved[[n for parts in PARTITIONS[40] for n in parts]] = amplitudes[order]
    assert weigh_partitions(moved, field).best == 40


def test_very_strong_fringes_stay_finite(field):
    weighed = weigh_partitions(with_fringes(field, PARTITIONS[STATED], height=500.0), field)
    assert weighed.best == STATED
    assert bool(torch.isfinite(weighed.evidence).all())
