"""Arrays from a notebook: what is no stack is refused in one line, what is one stays as it is."""

from pathlib import Path

import numpy as np
import pytest
import torch

from bayesdl_sim import Posterior, read_stack
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.prepared.arrays import require_stack, stacks_of
from bayesdl_sim.models.members import open_members
from bayesdl_sim.models.shipped import shipped_folder
from bayesdl_sim.utils.errors import InputError

FRAMES = np.random.default_rng(3).poisson(50, (2, 9, 24, 20)).astype(np.float32)


def stack(raw, pixel_size_nm=None) -> RawStack:
    return RawStack(raw=raw, pixel_size_nm=pixel_size_nm, name="x", source=Path("x.tif"))


def with_value(value: float, where) -> np.ndarray:
    raw = FRAMES.copy()
    raw[where] = value
    return raw


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (FRAMES, "expected a RawStack, found ndarray: read a file with read_stack"),
        (torch.from_numpy(FRAMES), "expected a RawStack, found Tensor"),
        ("raw.tif", "expected a RawStack, found str"),
        (stack(FRAMES[0]), r"raw frames \(T, 9, H, W\).*; found \(9, 24, 20\)"),
        (stack(FRAMES[:0]), r"found \(0, 9, 24, 20\)"),
        (stack(FRAMES.tolist()), "found list"),
        (stack(FRAMES.astype(np.complex64)), "complex"),
        (stack(with_value(np.inf, (1, 2, 3, 4))), "infinite"),
        (stack(with_value(np.nan, (1, 4))), "frame 5 of time point 2 holds no data"),
        (stack(FRAMES, -65.0), "pixel_size_nm: expected a positive number"),
        (stack(FRAMES, "65"), "pixel_size_nm: .* found '65'"),
    ],
)
def test_what_is_no_stack_is_refused_in_one_line(wrong, message):
    with pytest.raises(InputError, match=message):
        require_stack(wrong)


@pytest.mark.parametrize("kind", ["u1", "u2", "i4", "i8", "f2", "f4", "f8"])
def test_every_type_of_counts_is_a_stack(kind):
    good = stack(FRAMES.astype(kind), np.float64(65))
    assert require_stack(good) is good
    assert require_stack(stack(torch.from_numpy(FRAMES))).pixel_size_nm is None
    gaps = stack(with_value(np.nan, (0, slice(None), slice(0, 5))))
    assert require_stack(gaps) is gaps  # pixels without data are not a fault


@pytest.mark.parametrize("wrong", [FRAMES[0], torch.from_numpy(FRAMES[0]), FRAMES[:0], [1], None])
def test_what_is_no_batch_is_refused_in_one_line(wrong):
    with pytest.raises(InputError, match=r"raw: expected a batch of counts \(B, 9, H, W\)"):
        list(stacks_of(wrong))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int32, torch.bfloat16, torch.float64])
def test_a_batch_of_any_type_keeps_its_values(dtype):
    batch = torch.from_numpy(FRAMES).to(dtype)
    raw = [one.raw for one in stacks_of(batch)]
    assert [one.shape for one in raw] == [(1, 9, 24, 20)] * 2
    assert np.array_equal(np.concatenate(raw), batch.double().numpy())
    learned = torch.from_numpy(FRAMES).requires_grad_()
    assert np.array_equal(next(stacks_of(learned)).raw[0], FRAMES[0])
    assert np.array_equal(next(stacks_of(FRAMES)).raw[0], FRAMES[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"members": "4"}, "holds 8 .* expected 1 to 8"),
        ({"members": 2.0}, "expected 1 to 8"),
        ({"device": None}, "device: expected auto"),
    ],
)
def test_options_of_another_type_are_refused_in_one_line(options, message):
    with pytest.raises(InputError, match=message):
        Posterior.shipped(**options)


def test_numbers_of_numpy_are_numbers():
    assert len(open_members(shipped_folder(), "cpu", torch.float32, 512, np.int64(2))) == 2


def test_frames_in_memory_are_not_read_again():
    with pytest.raises(InputError, match="path: expected the name of a file .* found ndarray"):
        read_stack(FRAMES)
    with pytest.raises(InputError, match="layout: expected a FrameLayout, found 'phase,"):
        read_stack("raw.tif", "phase,orientation")
