"""What a network is shown: frames, chosen frames, and a first guess in its right place."""

import numpy as np
import pytest
import torch

from bayesdl_sim.data.inputs import (
    FirstGuess,
    InputSpec,
    chosen_frames,
    input_spec,
    network_input,
    require_inputs,
)
from bayesdl_sim.data.normalise import Normalisation, normalisation_of
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.utils.errors import InputError

FRAMES = np.random.default_rng(0).random((9, 6, 8)).astype(np.float32)
GUESS = np.arange(12 * 16, dtype=np.float32).reshape(12, 16)
WITH_GUESS = InputSpec(first_guess=True)


def doubled(counts):
    """A guess that is easy to check: the mean frame, each pixel four times."""
    return counts.mean(dim=0).repeat_interleave(2, 0).repeat_interleave(2, 1)


@pytest.mark.parametrize(
    ("spec", "channels", "averaged"),
    [
        (InputSpec(), 9, 9),
        (WITH_GUESS, 13, 9),
        (InputSpec(frames=(1, 2, 3)), 4, 1),
        (InputSpec(frames=()), 1, 1),
        (InputSpec(frames=(9,), first_guess=True), 6, 1),
    ],
)
def test_channels_and_where_the_wide_field_is(spec, channels, averaged):
    shown = network_input(FRAMES, GUESS, spec)
    assert shown.shape == (channels, 6, 8)
    assert shown.dtype == np.float32
    assert (spec.channels, spec.averaged) == (channels, averaged)
    np.testing.assert_allclose(shown[:averaged].mean(axis=0), FRAMES.mean(axis=0), rtol=1e-5)


def test_chosen_frames_follow_the_wide_field_in_their_order():
    shown = network_input(FRAMES, None, InputSpec(frames=(7, 2)))
    np.testing.assert_array_equal(shown[1:], FRAMES[[6, 1]])


def test_the_guess_comes_back_by_a_pixel_shuffle():
    shown = torch.from_numpy(network_input(FRAMES, GUESS, WITH_GUESS))
    back = torch.nn.functional.pixel_shuffle(shown[None, 9:], 2)[0, 0]
    np.testing.assert_array_equal(back, GUESS)


def test_frames_and_guess_are_on_one_scale():
    raw = 100 + 50 * FRAMES
    norm = Normalisation(100.0, 150.0)
    guess = FirstGuess(lambda counts: doubled(counts) - 100.0, 1)  # counts above background
    shown = torch.from_numpy(
        network_input(norm.apply(raw), guess.normalised(raw, norm), WITH_GUESS)
    )
    torch.testing.assert_close(shown[9:].mean(0), shown[:9].mean(0), atol=1e-5, rtol=0)


@pytest.mark.parametrize("spec", [InputSpec(), WITH_GUESS, InputSpec(frames=(4, 5))])
def test_a_spec_survives_the_checkpoint(spec):
    network = {"inputs": spec.to_config(), "options": {"in_channels": spec.channels}}
    assert input_spec(network) == spec


def test_networks_without_an_entry_take_nine_frames():
    assert input_spec({"options": {"in_channels": 9}}) == InputSpec()
    assert input_spec({"inputs": None, "options": {}}) == InputSpec()


@pytest.mark.parametrize(
    ("network", "words"),
    [
        ({"options": {"in_channels": 4}}, "4 input channels"),
        ({"inputs": {"frames": None}, "options": {}}, "unknown network input"),
        ({"inputs": -1, "options": {}}, "the checkpoint: unknown network input '-1'"),
        ({"inputs": torch.zeros(2, 2), "options": {}}, "unknown network input"),
        ({"inputs": {"frames": [True], "first_guess": False}, "options": {}}, "unknown network"),
        ({"inputs": {"frames": [10], "first_guess": False}, "options": {}}, "numbers 1-9"),
    ],
)
def test_other_networks_are_refused(network, words):
    with pytest.raises(InputError, match=words):
        input_spec(network)


@pytest.mark.parametrize("augment", [True, False])
def test_patches_show_the_guess_where_the_frames_are(write_tree, augment):
    made = []

    def make(counts):
        made.append(counts)
        low = normalisation_of(counts).low
        return doubled(counts) - low

    tree = write_tree()
    sets = [
        SimDataset(tree.root, "train", inputs=WITH_GUESS, first_guess=FirstGuess(make, 1))
        for _ in range(2)
    ]
    assert len(made) == len(sets[0])  # kept beside the copy: the second set made none
    for raw, _ in sets[1].batches(0, 1, 4, 12, patches_per_stack=10, augment=augment):
        assert raw.shape[1] == 13
        # atol: guesses are kept in half precision
        torch.testing.assert_close(raw[:, 9:].mean(1), raw[:, :9].mean(1), atol=2e-3, rtol=0)
    whole = sets[1].stack(0).raw
    torch.testing.assert_close(whole[9:].mean(0), whole[:9].mean(0), atol=2e-3, rtol=0)


def test_a_new_way_to_guess_makes_the_guesses_again(write_tree):
    tree, values = write_tree(), []
    for version in (1, 2):
        guess = FirstGuess(lambda counts, v=version: doubled(counts) * 0 + v, version)
        dataset = SimDataset(tree.root, "train", inputs=WITH_GUESS, first_guess=guess)
        values.append(float(dataset.stack(0).raw[9:].mean() * dataset.stack(0).norm.scale))
    assert values == pytest.approx([1.0, 2.0], rel=1e-2)


@pytest.mark.parametrize(
    ("mode", "frames", "expected"),
    [
        (None, None, None),
        ("SIM", None, None),
        ("SIM", "1,2,3,4,5,6,7,8,9", None),
        ("SIM", "1, 2,3", (1, 2, 3)),
        (None, "7,4", (4, 7)),
        ("SISR", None, ()),
        ("SISR", "1,2,3,4,5,6,7,8,9", ()),
        (None, "", ()),
    ],
)
def test_frames_in_the_words_of_the_released_command_line(mode, frames, expected):
    assert chosen_frames(mode, frames) == expected


@pytest.mark.parametrize("frames", ["0", "10", "1,1", "1;2", "a", "1,,2", "-1"])
def test_other_frames_are_refused(frames):
    with pytest.raises(InputError, match="numbers from 1 to 9"):
        chosen_frames("SIM", frames)


def test_a_stored_spec_is_compared_with_what_is_asked_for():
    three, alone = InputSpec((1, 2, 3)), InputSpec(())
    require_inputs(three, None, None)
    require_inputs(three, "SIM", None)
    require_inputs(three, "SIM", "1,2,3")
    require_inputs(alone, "SISR", None)
    require_inputs(InputSpec(first_guess=True), "SIM", "1,2,3,4,5,6,7,8,9")
    for spec, words in [(three, ("SISR", None)), (three, ("SIM", "1,2")), (alone, ("SIM", None))]:
        with pytest.raises(InputError, match="were trained on the wide field"):
            require_inputs(spec, *words)
