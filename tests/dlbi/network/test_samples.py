"""The training set: what is written is what was made, and crops stay aligned."""

import numpy as np
import pytest
import torch

from bayesdl_sim.dlbi.moments.imaging import Imaging
from bayesdl_sim.dlbi.network import samples as making
from bayesdl_sim.dlbi.network.features import (
    CAMERA_CHANNELS,
    ESTIMATES,
    chosen_frames,
    crop_features,
)
from bayesdl_sim.dlbi.network.samples import (
    batches,
    list_samples,
    load_sample,
    make_sample,
    write_sample,
)
from bayesdl_sim.dlbi.simulation.scenes import DENSE_PER_PIXEL, random_scene
from bayesdl_sim.utils.errors import InputError


def test_a_scene_is_read_back_as_it_was_made(scenes, samples):
    made = make_sample(7, 0, 24)
    assert torch.equal(made.fluorophores, samples[0].fluorophores)
    torch.testing.assert_close(
        made.features.padded, samples[0].features.padded, rtol=2e-3, atol=1e-3
    )
    torch.testing.assert_close(made.brightness, samples[0].brightness)
    assert list_samples(scenes[0]) == scenes[1]


def test_a_saturated_scene_is_drawn_again(monkeypatch):
    scenes = iter([random_scene, random_scene])
    bright = []

    def saturated_first(*args, **options):
        scene = next(scenes)(*args, **options)
        if not bright:
            bright.append(scene)
            scene.movie.counts[:, :4, :4] = 65535.0
        return scene

    monkeypatch.setattr(making, "random_scene", saturated_first)
    made = make_sample(7, 0, 24)
    assert next(scenes, None) is None  # both were drawn
    assert not torch.equal(made.fluorophores[0], bright[0].movie.fluorophores)


def test_dense_scenes_have_more_fluorophores(tmp_path):
    dense = make_sample(7, 0, 24, per_pixel=DENSE_PER_PIXEL)
    assert dense.fluorophores.sum() > 2.0 * make_sample(7, 0, 24).fluorophores.sum()


def test_estimates_of_bright_movies_with_airy_spots_are_finite():
    """Long, bright and without much background: any negative part of a spot would show."""
    made = make_sample(119, 2, 20, per_pixel=DENSE_PER_PIXEL)
    assert bool(made.features.padded.isfinite().all())


def test_what_is_stored_in_half_precision_stays_finite(tmp_path, monkeypatch):
    sample = make_sample(7, 0, 24)
    sample.features.camera[0, 1, 3, 3] = 1e9
    monkeypatch.setattr(making, "make_sample", lambda *args: sample)
    stored = load_sample(write_sample(tmp_path, 7, 0, 24))
    assert torch.isfinite(stored.features.camera).all()


def test_shapes(samples):
    features = samples[0].features
    assert features.padded.shape == (1, ESTIMATES, 256, 256)
    assert features.camera.shape == (1, CAMERA_CHANNELS, 24, 24)
    assert features.frames.shape[2:] == (24, 24)
    assert samples[0].fluorophores.shape == (1, 192, 192)


def test_crops_of_estimate_and_truth_stay_aligned(samples):
    # The truth enters as the estimate: wherever the crop lies and however it is turned, the two
    # must be equal afterwards.
    aligned = []
    for sample in samples:
        edge = (sample.features.padded.shape[-1] - sample.fluorophores.shape[-1]) // 2
        sample.features.padded[:, 0, edge:-edge, edge:-edge] = sample.fluorophores
        aligned.append(sample)
    generator = torch.Generator().manual_seed(0)
    for _ in range(4):
        for batch in batches(aligned, 2, 16, generator):
            inner = Imaging.crop(batch.features.padded)[:, 0]
            assert torch.equal(inner, batch.fluorophores)
            assert batch.fluorophores.shape == (2, 128, 128)


def test_a_crop_of_the_features(samples):
    features = samples[0].features
    crop = crop_features(features, 3, 5, 10, 10)
    assert torch.equal(crop.mean, features.mean[:, 3:13, 5:15])
    assert torch.equal(
        Imaging.crop(crop.padded), Imaging.crop(features.padded)[..., 24:104, 40:120]
    )


def test_frames_are_evenly_spread():
    assert chosen_frames(10).tolist() == list(range(10))
    many = chosen_frames(400)
    assert len(many) == 64
    assert many[0] == 0
    assert many[-1] == 399


def test_same_seed_same_batches(samples):
    first, second = (
        next(batches(samples, 2, 16, torch.Generator().manual_seed(3))) for _ in range(2)
    )
    assert torch.equal(first.features.camera, second.features.camera)
    assert torch.equal(first.features.frames, second.features.frames)


def test_a_damaged_scene_is_refused_in_one_line(scenes, tmp_path):
    """Also where its archive asks for a way of packing that Python does not know."""
    whole = scenes[1][0].read_bytes()
    place = whole.index(b"PK\x01\x02") + 10  # the compression of the first entry
    unknown = whole[:place] + b"\x63\x00" + whole[place + 2 :]
    for content in (unknown, whole[:-30], b"no archive"):
        (tmp_path / "scene.npz").write_bytes(content)
        with pytest.raises(InputError, match=r"scene.npz is damaged or no scene") as caught:
            load_sample(tmp_path / "scene.npz")
        assert "\n" not in str(caught.value)


def test_many_fluorophores_in_a_pixel_are_stored_as_they_are(tmp_path, monkeypatch):
    """They used to be stored modulo 256."""
    sample = make_sample(7, 0, 24)
    sample.fluorophores[0, 3, 3] = 300
    monkeypatch.setattr(making, "make_sample", lambda *args: sample)
    stored = load_sample(write_sample(tmp_path, 7, 0, 24))
    assert torch.equal(stored.fluorophores, sample.fluorophores)
    sample.fluorophores[0, 3, 3] = 70_000
    with pytest.raises(RuntimeError, match="70000 fluorophores in a pixel"):
        write_sample(tmp_path, 7, 1, 24)


def test_held_out_scenes_are_those_of_no_training(monkeypatch):
    """Those of one seed used to be the training scenes of the next."""
    entropies = {False: set(), True: set()}
    for held_out, found in entropies.items():

        def refuse(shape, generator, per_pixel, found=found):
            found.add(generator.initial_seed())
            raise StopIteration

        monkeypatch.setattr(making, "random_scene", refuse)
        for seed in range(12):
            for number in range(4):
                with pytest.raises(StopIteration):
                    make_sample(seed, number, 24, held_out=held_out)
    assert len(entropies[False]) == len(entropies[True]) == 48
    assert not entropies[False] & entropies[True]


def test_scenes_of_a_training_are_those_of_the_shipped_members(monkeypatch):
    """Their seeds did not change when those of held-out scenes did."""
    seeds = []

    def refuse(shape, generator, per_pixel):
        seeds.append(generator.initial_seed())
        raise StopIteration

    monkeypatch.setattr(making, "random_scene", refuse)
    with pytest.raises(StopIteration):
        make_sample(101, 3, 48)
    words = np.random.SeedSequence([101, 3, 0]).generate_state(1, np.uint64)
    assert seeds == [int(words[0] >> np.uint64(1))]


def test_held_out_scenes_have_names_of_their_own(tmp_path):
    held_out = write_sample(tmp_path, 7, 0, 24, held_out=True)
    assert held_out.name == "scene_held_out_7_00000.npz"
    training = make_sample(7, 0, 24)
    assert not torch.equal(load_sample(held_out).fluorophores, training.fluorophores)
    assert list_samples(tmp_path) == [held_out]
