"""Patches and stacks: aligned, deterministic, of disjoint cells, decoded once."""

import random

import numpy as np
import pytest
import tifffile
import torch

import bayesdl_sim.data.sets.cache
from bayesdl_sim.data.normalise import normalisation_of
from bayesdl_sim.data.sets.datasets import SimDataset
from bayesdl_sim.data.sets.layout import PARTS
from bayesdl_sim.utils.errors import InputError


def bin2(target):
    return torch.nn.functional.avg_pool2d(target, 2)


@pytest.mark.parametrize("augment", [True, False])
def test_patches_of_raw_and_target_stay_aligned(write_tree, augment):
    """Wide field = 5 * level * binned target + 100 here, in counts and so after normalisation."""
    dataset = SimDataset(write_tree().root, "train")
    batches = list(dataset.batches(0, 1, 4, 12, patches_per_stack=10, augment=augment))
    assert len(batches) == dataset.steps(4, 10) == 5
    for raw, target in batches:
        assert raw.shape == (4, 9, 12, 12)
        assert target.shape == (4, 1, 24, 24)
        assert raw.dtype == target.dtype == torch.float32
        torch.testing.assert_close(raw.mean(1, keepdim=True), bin2(target), atol=2e-4, rtol=0)


def test_a_whole_stack_is_normalised_and_leads_back_to_counts(write_tree):
    tree = write_tree(dtype=np.uint16)
    dataset = SimDataset(tree.root, "validation")
    stack = dataset.stack(1)
    frames = np.stack([tifffile.imread(path) for path in tree.raw_paths(stack.cell, stack.level)])
    assert (stack.cell, stack.level) == (2, 2)
    assert stack.norm == normalisation_of(frames)
    assert stack.raw.shape == (9, 32, 32)
    assert stack.target.shape == (1, 64, 64)
    np.testing.assert_allclose(stack.norm.invert(stack.raw), frames, rtol=1e-5)
    wide_field = stack.raw.mean(0, keepdim=True)
    torch.testing.assert_close(bin2(stack.target), wide_field, atol=5e-3, rtol=0)


def test_sizes(write_tree):
    dataset = SimDataset(write_tree(cells=range(1, 13)).root, "train")
    assert len(dataset) == 8 * 2
    assert dataset.pixels == 16 * 64 * 64
    assert dataset.steps(5) == 3
    assert dataset.steps(5, 2) == 6
    assert dataset.steps(100) == 1


def test_every_stack_is_visited_as_often_as_asked(write_tree):
    dataset = SimDataset(write_tree(cells=range(1, 13), levels=(1,)).root, "train")
    batches = list(dataset.batches(0, 0, 8, 32, patches_per_stack=3, augment=False))
    fields = [target.numpy().tobytes() for batch in batches for target in batch.target]
    assert len(fields) == 24
    assert all(fields.count(one) == 3 for one in set(fields))  # a patch is the whole field here
    assert len(set(fields)) == 8


def test_the_parts_share_no_cell(write_tree):
    root = write_tree(cells=range(1, 13)).root
    cells = [{SimDataset(root, part).stack(0).cell} for part in PARTS]
    parts = [set(SimDataset(root, part).cells) for part in PARTS]
    assert sum(len(part) for part in parts) == len(set.union(*parts)) == 12
    assert all(one <= part for one, part in zip(cells, parts, strict=True))


def test_the_cells_can_be_chosen(write_tree):
    dataset = SimDataset(write_tree().root, "train", cells=[3, 1])
    assert [dataset.stack(i).cell for i in range(len(dataset))] == [1, 1, 3, 3]


def test_seed_and_epoch_determine_the_batches(write_tree):
    root = write_tree(microscope="random").root

    def run(epoch, seed):
        batches = SimDataset(root, "train").batches(epoch, seed, 2, 16, patches_per_stack=4)
        return b"".join(image.numpy().tobytes() for patches in batches for image in patches)

    assert run(3, 7) == run(3, 7)
    assert len({run(3, 7), run(4, 7), run(3, 8)}) == 3


def test_flips_and_turns_only_where_the_microscope_is_random(write_tree):
    for microscope, poses in (("fixed", 1), (None, 1), ("random", 8)):
        tree = write_tree(microscope=microscope, levels=(1,), name=str(microscope))
        dataset = SimDataset(tree.root, "train")
        targets = {
            patches.target.numpy().tobytes()
            for epoch in range(60)
            for patches in dataset.batches(epoch, 0, 1, 32)
        }
        assert len(targets) == poses


def test_no_tiff_is_decoded_twice(write_tree, monkeypatch):
    calls = []
    read = bayesdl_sim.data.sets.cache.read_image
    monkeypatch.setattr(
        bayesdl_sim.data.sets.cache, "read_image", lambda path: calls.append(path) or read(path)
    )
    tree = write_tree()
    for part in PARTS:
        dataset = SimDataset(tree.root, part)
        for epoch in range(2):
            list(dataset.batches(epoch, 0, 2, 16))
        dataset.stack(0)
    assert len(calls) == len(set(calls)) == 3 * 2 * 9 + 3


def test_the_global_random_state_is_untouched(write_tree):
    legacy = np.random.get_state  # noqa: NPY002
    before = random.getstate(), legacy()[1].tolist(), torch.get_rng_state()
    dataset = SimDataset(write_tree(microscope="random").root, "train")
    list(dataset.batches(0, 0, 2, 16))
    assert random.getstate() == before[0]
    assert legacy()[1].tolist() == before[1]
    assert torch.equal(torch.get_rng_state(), before[2])


def test_odd_and_oblong_fields(write_tree):
    tree = write_tree(levels=(1,))
    target = np.random.default_rng(0).random((42, 70)).astype(np.float32)
    for cell in tree.cells():
        tifffile.imwrite(tree.gt_path(cell), target)
        for path in tree.raw_paths(cell, 1):
            tifffile.imwrite(path, 100 * target.reshape(21, 2, 35, 2).mean(axis=(1, 3)))
    dataset = SimDataset(tree.root, "train")
    assert dataset.size == (21, 35)
    for raw, sr in dataset.batches(0, 0, 8, 21, patches_per_stack=8, augment=True):
        torch.testing.assert_close(raw.mean(1, keepdim=True), bin2(sr), atol=1e-3, rtol=0)


def test_wrong_requests_are_refused(write_tree):
    root = write_tree().root
    with pytest.raises(InputError, match="none of train, validation, test"):
        SimDataset(root, "training")
    with pytest.raises(InputError, match="cell 9 is not in"):
        SimDataset(root, "train", cells=[9])
    dataset = SimDataset(root, "train")
    with pytest.raises(InputError, match="does not fit into the field of 32x32"):
        dataset.batches(0, 0, 1, 33)
    with pytest.raises(InputError, match="at least 1"):
        dataset.batches(0, 0, 0, 16)


def test_the_hash_of_a_set_is_that_of_its_content(write_tree, tmp_path):
    tree = write_tree(microscope="fixed")
    hashes = {SimDataset(tree.root, part).sha256 for part in PARTS}
    assert len(hashes) == 1
    moved = tmp_path / "of another name"
    tree.root.rename(moved)
    assert SimDataset(moved, "train").sha256 in hashes
    spec = moved / "dataset.json"
    spec.write_text(spec.read_text().replace('"pixel_size_nm": 62.6', '"pixel_size_nm": 65.0'))
    other_facts = SimDataset(moved, "train").sha256
    frame = moved / "Raw" / "cell_1" / "level_1" / "9.tif"
    image = tifffile.imread(frame)
    image[3, 4] += 1
    tifffile.imwrite(frame, image)
    other_image = SimDataset(moved, "train").sha256
    assert len({*hashes, other_facts, other_image}) == 3


def test_the_hash_of_a_set_without_description_does_not_know_its_name(write_tree, tmp_path):
    tree = write_tree()
    before = SimDataset(tree.root, "train").sha256
    tree.root.rename(tmp_path / "moved")
    assert SimDataset(tmp_path / "moved", "train").sha256 == before
