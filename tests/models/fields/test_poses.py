"""Members that are shown the field in poses of their own, and still answer for it as it lies."""

import json

import pytest
import torch

from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.models.fields.poses import (
    POSES_FILE,
    UPRIGHT,
    note_poses,
    poses_of,
    shown,
    turn_input,
)
from bayesdl_sim.models.members import apply_member, hashes_of, open_members
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.pieces.poses import POSES, turn, turn_back

CPU = torch.device("cpu")
GUESS = {"frames": None, "first_guess": True}


def network(inputs=None, channels=9, likelihood="gauss", levels=3):
    options = {"in_channels": channels, "width": 4, "levels": levels, "blocks": 1}
    built = build_network(network_config("unet", likelihood, inputs, **options), seed=1).eval()
    with torch.no_grad():
        built.tail.output.weight.normal_(generator=torch.Generator().manual_seed(2))
    return built


def frames(*shape):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("pose", range(POSES))
def test_turning_back_gives_the_field_as_it_lay(pose):
    image = frames(2, 3, 5, 7)
    assert torch.equal(turn_back(turn(image, pose), pose), image)


def test_the_poses_are_all_different():
    image = frames(3, 3)
    assert len({tuple(turn(image, pose).flatten().tolist()) for pose in range(POSES)}) == POSES


@pytest.mark.parametrize("pose", range(POSES))
def test_the_sub_pixels_of_the_guess_are_those_of_the_turned_guess(pose):
    guess = frames(1, 1, 12, 20)
    channels = torch.nn.functional.pixel_unshuffle(guess, 2)
    nine = frames(1, 9, 6, 10)
    turned = turn_input(torch.cat([nine, channels], dim=1), pose, first_guess=True)
    assert torch.equal(turned[:, :9], turn(nine, pose))
    assert torch.equal(torch.nn.functional.pixel_shuffle(turned[:, 9:], 2), turn(guess, pose))


@pytest.mark.parametrize("pose", range(POSES))
@pytest.mark.parametrize("size", [(24, 32), (37, 26)])
def test_the_answer_is_that_of_the_turned_field_turned_back(pose, size):
    built, raw = network(GUESS, 13), frames(2, 13, *size)
    answer = apply_member(built, raw, CPU, poses=[pose])
    with torch.no_grad():
        turned = built(shown(raw, pose, built.config, built.stride))
    height, width = (2 * side for side in size)
    for image, other in zip(answer, turned, strict=True):
        assert image.shape == (2, 1, height, width)
        expected = turn_back(other, pose)[..., :height, :width]
        torch.testing.assert_close(image, expected, atol=1e-6, rtol=1e-6)
    if pose:  # the network is none that answers alike in every pose
        assert float((answer.mean - apply_member(built, raw, CPU).mean).abs().max()) > 1e-4


@pytest.mark.parametrize("pose", range(POSES))
def test_tiles_equal_the_field_in_every_pose(pose):
    built, raw = network(GUESS, 13), frames(1, 13, 75, 62)
    whole = apply_member(built, raw, CPU, poses=[pose])
    tiled = apply_member(built, raw, CPU, tile=24, poses=[pose])
    for expected, image in zip(whole, tiled, strict=True):
        torch.testing.assert_close(image, expected, atol=1e-5, rtol=1e-5)


def test_parts_of_a_field_equal_it_in_every_pose():
    """As a large field is read: parts that begin at whole strides, with a halo."""
    built, raw = network(GUESS, 13), frames(1, 13, 70, 64)
    start, reach = 32, built.receptive_radius
    assert start % built.stride == 0
    padded = torch.nn.functional.pad(raw, (0, 0, 3 * reach, 0), mode="replicate")
    for pose in range(POSES):
        whole = apply_member(built, padded, CPU, poses=[pose]).mean
        part = apply_member(built, padded[..., start:, :], CPU, poses=[pose]).mean
        kept = part[..., 2 * reach :, :]
        expected = whole[..., 2 * (start + reach) :, :]
        torch.testing.assert_close(kept, expected, atol=1e-5, rtol=1e-5)


def test_several_poses_of_one_member_are_averaged():
    built, raw = network(), frames(1, 9, 20, 28)
    both = apply_member(built, raw, CPU, poses=[0, 3])
    alone = [apply_member(built, raw, CPU, poses=[pose]) for pose in (0, 3)]
    torch.testing.assert_close(both.mean, (alone[0].mean + alone[1].mean) / 2)
    variance = (alone[0].log_var.exp() + alone[1].log_var.exp()) / 2
    torch.testing.assert_close(both.log_var.exp(), variance)


def test_each_member_of_a_folder_has_its_own_poses(tmp_path):
    assert poses_of(tmp_path, 5) == UPRIGHT
    note_poses(tmp_path, True)
    assert [poses_of(tmp_path, number) for number in (0, 1, 7, 8)] == [(0,), (1,), (7,), (0,)]
    note_poses(tmp_path, True, each=2)
    assert [poses_of(tmp_path, number) for number in (0, 1)] == [(0, 1), (2, 3)]
    note_poses(tmp_path, False)
    assert poses_of(tmp_path, 1) == UPRIGHT


@pytest.mark.parametrize(
    "change", [{"format": "another"}, {"version": 2}, {"poses_of_each_member": 0}, {"version": "x"}]
)
def test_a_damaged_note_is_refused(tmp_path, change):
    note_poses(tmp_path, True)
    path = tmp_path / POSES_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(InputError, match="posterior.json"):
        poses_of(tmp_path, 0)
    note_poses(tmp_path, True, each=9)
    with pytest.raises(InputError, match="1 to 8 poses"):
        poses_of(tmp_path, 0)


def test_members_are_opened_in_their_poses_and_identified_by_them(tmp_path):
    built, raw = network(), frames(1, 9, 24, 20)
    for number in (1, 2):
        save_checkpoint(member_path(tmp_path, number), member_payload(built, {}, {}))
    plain = hashes_of(member.facts for member in open_members(tmp_path))
    note_poses(tmp_path, True)
    first, second = open_members(tmp_path)
    for member, pose in ((first, 0), (second, 1)):
        expected = apply_member(built, raw, CPU, poses=[pose])
        torch.testing.assert_close(member.function(raw).mean, expected.mean)
    identities = hashes_of([first.facts, second.facts])
    assert identities["member_01.pth"] == plain["member_01.pth"]
    assert identities["member_02.pth"] == f"{plain['member_02.pth']} in pose 1"
