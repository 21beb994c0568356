"""The training set: what is written is what was made, and crops stay aligned."""

import torch

from bayesdl_sim.dlbi.moments.imaging import Imaging
from bayesdl_sim.dlbi.network.features import CAMERA_CHANNELS, chosen_frames, crop_features
from bayesdl_sim.dlbi.network.samples import batches, list_samples, make_sample


def test_a_scene_is_read_back_as_it_was_made(scenes, samples):
    made = make_sample(7, 0, 24)
    assert torch.equal(made.fluorophores, samples[0].fluorophores)
    torch.testing.assert_close(
        made.features.padded, samples[0].features.padded, rtol=2e-3, atol=1e-3
    )
    torch.testing.assert_close(made.brightness, samples[0].brightness)
    assert list_samples(scenes[0]) == scenes[1]


def test_shapes(samples):
    features = samples[0].features
    assert features.padded.shape == (1, 2, 256, 256)
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
