"""Light beside a bright spot that the result does not explain widens the interval there."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.inference import series
from bayesdl_sim.inference.beside_spots import dark_level, undimmed, unexplained_light
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.patterns.measured import MeasuredFrames

BEAD = (40, 50)


def blob(shape, sigma):
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.exp(-((y - BEAD[0]) ** 2 + (x - BEAD[1]) ** 2) / (2 * sigma**2)).astype(np.float32)


@pytest.fixture
def spotted(stack):
    bead = 12 * np.percentile(stack.raw, 99.5) * blob(stack.raw.shape[-2:], 1.4)
    return replace(stack, raw=stack.raw + bead.astype(np.float32))


@pytest.fixture
def leaving(monkeypatch):
    """A re-simulation that leaves so many counts of the frames, in a blob around the bead."""

    original = PreparedStack.resimulate

    def leave(counts):
        def resimulate(self, t, sr):
            frames = MeasuredFrames(self.counts(t)).frames
            haze = self.haze(t)  # which no image holds
            frames = frames if haze is None else frames - haze
            noise = 0.5 * torch.randn(frames.shape, generator=torch.Generator().manual_seed(0))
            left = counts * torch.from_numpy(blob(frames.shape[1:], 10.0))
            return replace(original(self, t, sr), frames=frames + noise - left)

        monkeypatch.setattr(PreparedStack, "resimulate", resimulate)

    return leave


def image_of(stack):
    return np.zeros([2 * n for n in stack.raw.shape[-2:]], np.float32)


def test_a_stack_without_a_spot_stays_as_it_is(stack, leaving):
    leaving(100.0)
    assert unexplained_light(PreparedStack(stack), 0, image_of(stack)) is None


def test_the_deviation_is_where_light_is_left(spotted, leaving):
    leaving(100.0)
    deviation = unexplained_light(PreparedStack(spotted), 0, image_of(spotted))
    assert deviation.shape == image_of(spotted).shape
    row, column = (2 * place for place in BEAD)
    beside = deviation[row, column + 28]  # 14 raw pixels, where 100 exp(-196 / 200) are left
    assert 70 < beside < 140
    # The bead itself is dimmed, and its interval wide already.
    assert deviation[row, column] < 200
    assert deviation[:, :20].max() == pytest.approx(0.0, abs=2.0)


def test_far_from_the_spot_nothing_is_added(stack_of, cristae, leaving):
    bead = 12 * np.percentile(cristae, 99.5) * blob(cristae.shape[-2:], 1.4)
    spotted = stack_of(cristae + bead)
    leaving(-100.0)
    near = unexplained_light(PreparedStack(spotted), 0, image_of(spotted))
    assert near[2 * BEAD[0], 2 * BEAD[1] + 28] > 70
    assert near[2 * BEAD[0] + 130 :].max() < 1e-3


def test_noise_leaves_nothing(spotted, leaving):
    leaving(0.0)
    deviation = unexplained_light(PreparedStack(spotted), 0, image_of(spotted))
    assert np.median(deviation) == 0.0
    assert deviation.max() < 1.0


def test_the_interval_of_the_result_is_wider_there(posterior, spotted, leaving, monkeypatch):
    leaving(100.0)
    wide = posterior.reconstruct(spotted)
    monkeypatch.setattr(series, "unexplained_light", lambda *_: None)
    plain = posterior.reconstruct(spotted)
    np.testing.assert_array_equal(wide.sr, plain.sr)
    np.testing.assert_array_equal(wide.aleatoric, plain.aleatoric)
    place = (0, 2 * BEAD[0], 2 * BEAD[1] + 28)
    added = np.sqrt(wide.total[place] ** 2 - plain.total[place] ** 2) * wide.scale.scale
    assert 50 < added < 140
    assert (wide.total >= plain.total).all()
    assert (wide.channels["Credibility"] <= plain.channels["Credibility"]).all()


def test_a_spot_is_undimmed_from_the_dark_and_its_haze_stays_uncertain(spotted):
    prepared = PreparedStack(spotted)
    dark, factor = dark_level(prepared, 0), prepared.fine_dimming(0)
    mean = dark + factor * 0.5  # half the structure's range in the network input, dimmed
    sigma = torch.full_like(mean, 0.02)
    result = undimmed(prepared, 0, Prediction(mean, sigma, sigma, sigma))
    level = float(prepared.haze(0).mean()) / prepared.norm(0).scale
    assert level > 0.005  # it stays in the background
    np.testing.assert_allclose(result.mean, dark + level + 0.5, atol=1e-4)
    assert float(result.epistemic.min()) > 0.5 * level
    np.testing.assert_allclose(result.aleatoric, sigma / factor, rtol=1e-5)
    row, column = 2 * BEAD[0], 2 * BEAD[1] + 12
    haze = float(prepared.haze(0)[BEAD[0], BEAD[1] + 6]) / prepared.norm(0).scale
    least = 0.5 * (1 - float(factor[0, 0, row, column])) * haze
    assert float(result.epistemic[0, 0, row, column]) > 0.9 * least > 0
