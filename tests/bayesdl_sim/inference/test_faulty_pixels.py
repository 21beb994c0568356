"""Hot and dead pixels, and beads, change what the networks make of the rest of a stack little."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.physics.patterns.measured import measured


@pytest.fixture(scope="module")
def guessing(guess_members):
    return Posterior.load(guess_members, "cpu", precision="fp32")


def in_counts(result):
    return result.scale.invert(result.sr[0])


@pytest.mark.parametrize(("value", "count"), [(0.0, 40), (4000.0, 40), (65535.0, 10)])
def test_faulty_pixels_are_filled_before_anything(guessing, stack, value, count):
    rng = np.random.default_rng(3)
    places = rng.permutation(stack.raw[0, 0].size)[:count]
    raw = stack.raw.copy()
    raw.reshape(9, -1)[:, places] = value
    good, harmed = (guessing.reconstruct(s) for s in (stack, replace(stack, raw=raw)))
    mask = np.zeros(stack.raw[0, 0].shape, bool)
    mask.ravel()[places] = True
    prepared = PreparedStack(replace(stack, raw=raw))
    assert (prepared.faulty(0).numpy() == mask).mean() > 0.999
    difference = in_counts(harmed) - in_counts(good)
    spread = in_counts(good).std()
    assert np.sqrt(np.mean(difference**2)) < 0.1 * spread
    named = " ".join(harmed.verdict.reasons)
    assert ("dead" if value == 0 else "hot") in named
    assert "saturated" not in named


def test_a_good_stack_is_shown_as_it_is(stack):
    """Once its frames have one background; those of this stack differ by 1 %."""
    raw = measured(torch.from_numpy(stack.raw[0])).level.numpy()
    prepared = PreparedStack(replace(stack, raw=raw[None]))
    assert not bool(prepared.faulty(0).any())
    assert prepared.dimming(0) is None
    np.testing.assert_array_equal(prepared.shown(0).numpy(), raw)


def test_a_bead_is_dimmed_for_the_networks_and_as_bright_as_it_is_in_the_result(guessing, stack):
    y, x = np.mgrid[: stack.raw.shape[-2], : stack.raw.shape[-1]]
    bead = np.exp(-((y - 40) ** 2 + (x - 50) ** 2) / 4)
    top = stack.raw.max() - np.percentile(stack.raw, 1)
    raw = stack.raw + 15 * top * bead.astype(np.float32)
    raw[0] = measured(torch.from_numpy(raw[0])).level.numpy()
    prepared = PreparedStack(replace(stack, raw=raw))
    factor = prepared.dimming(0)
    shown = prepared.shown(0)
    assert float(factor[40, 50]) < 0.25
    assert float(shown.max() - shown.min()) < 0.3 * float(raw.max() - raw.min())
    far = np.hypot(y - 40, x - 50) > 22
    haze = prepared.haze(0).numpy()
    np.testing.assert_allclose((shown.numpy() + haze)[:, far], raw[0][:, far], rtol=2e-3)
    assert haze[far].max() < 0.02 * top
    result = guessing.reconstruct(prepared)
    near = np.hypot(y - 40, x - 50).repeat(2, 0).repeat(2, 1) < 3
    total = np.hypot(result.aleatoric, result.epistemic)
    np.testing.assert_allclose(result.total, total, rtol=1e-4)
    assert result.total[0][near].mean() > 5 * np.median(result.total)
    predicted = guessing.predict(torch.from_numpy(raw), calibrated=False)
    norm = prepared.norm(0)
    np.testing.assert_allclose(
        norm.scale * predicted.mean[0, 0].numpy() + norm.low, in_counts(result), rtol=1e-3, atol=1
    )


def test_a_pixel_that_is_always_bright_is_hot_and_not_dead(stack):
    raw = stack.raw.copy()
    raw[..., 20, 20] = raw[..., 50, 61] = 4000.0
    checks = PreparedStack(replace(stack, raw=raw)).checks(0)
    assert checks.sensor.hot_share == pytest.approx(2 / stack.raw[0, 0].size)
    assert checks.sensor.dead_share == 0
