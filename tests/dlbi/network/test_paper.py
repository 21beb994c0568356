"""The published networks: shapes, the shortcut, dropout that stays, one step of each phase."""

from dataclasses import replace

import pytest
import torch

from bayesdl_sim.dlbi.network.paper import KEEP, Discriminator, PaperGenerator
from bayesdl_sim.dlbi.network.paper_training import (
    PaperSettings,
    PaperTraining,
    fit_paper,
    local_vgg19,
    movie_batches,
    scales,
)
from bayesdl_sim.models.dropout import fix_dropout
from bayesdl_sim.utils.checkpoints import load_checkpoint

SMALL = PaperSettings(
    frames=6, size=16, width=8, batch=2, steps_per_epoch=1, pretraining=1, epochs=1
)


@pytest.fixture
def movie():
    return torch.rand((2, 6, 16, 16), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def training():
    return PaperTraining(SMALL, torch.device("cpu"))


def test_outputs_at_three_scales(movie):
    images = PaperGenerator(6, 8, 2)(movie)
    assert [tuple(image.shape) for image in images] == [
        (2, 1, 32, 32),
        (2, 1, 64, 64),
        (2, 1, 128, 128),
    ]


def test_any_field_but_one_number_of_frames(movie):
    generator = PaperGenerator(6, 8, 2)
    assert generator(movie[:, :, :12, :10])[-1].shape == (2, 1, 96, 80)
    with pytest.raises(RuntimeError):
        generator(movie[:, :4])


def test_the_published_size():
    generator = PaperGenerator()
    assert generator.first[0].weight.shape == (64, 200, 7, 7)
    assert len(generator.blocks) == 16
    wide = max(layer.out_channels for layer in Discriminator().layers if hasattr(layer, "stride"))
    assert wide == 2048
    convolutions = [layer for layer in Discriminator(4).layers if hasattr(layer, "stride")]
    assert len(convolutions) == 8


def test_initial_weights():
    weights = PaperGenerator().blocks[0].layers[0].weight
    assert float(weights.detach().std()) == pytest.approx(0.02, rel=0.03)
    assert float(weights.detach().mean()) == pytest.approx(0, abs=1e-3)


def test_the_mean_over_frames_goes_straight_to_the_output(movie):
    generator = PaperGenerator(6, 8, 1).eval()
    for scale in generator.scales:
        torch.nn.init.zeros_(scale.out.weight)
    image = generator(movie)[-1]
    assert float(image.mean().detach()) == pytest.approx(float(movie.mean()), rel=0.02)


def test_dropout_passes_differ_and_repeat(movie):
    generator = PaperGenerator(6, 8, 1).eval()
    images = []
    for seed in (0, 0, 1):
        fix_dropout(generator, seed)
        images.append(generator(movie)[-1])
    assert torch.equal(images[0], images[1])
    assert not torch.equal(images[0], images[2])
    assert generator.dropout.rate == pytest.approx(1 - KEEP)


def test_the_discriminator_gives_probabilities():
    chance = Discriminator(4)(torch.rand((3, 1, 128, 128)))
    assert chance.shape == (3,)
    assert bool(((chance > 0) & (chance < 1)).all())


def test_targets_on_three_grids():
    target = torch.rand((1, 1, 32, 32))
    coarse, middle, fine = scales(target)
    assert coarse.shape == (1, 1, 8, 8)
    assert middle.shape == (1, 1, 16, 16)
    assert fine is target
    torch.testing.assert_close(coarse.mean(), target.mean())


def test_pretraining_lowers_the_error(training, movie):
    target = torch.rand((2, 1, 128, 128), generator=torch.Generator().manual_seed(1))
    errors = [training.pretrain_step(movie, target) for _ in range(8)]
    assert errors[-1] < errors[0]


def test_one_adversarial_step_moves_both_networks(training, movie):
    before = [
        next(network.parameters()).detach().clone()
        for network in (training.generator, training.discriminator)
    ]
    losses = training.adversarial_step(movie, torch.rand((2, 1, 128, 128)))
    after = [next(n.parameters()) for n in (training.generator, training.discriminator)]
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert losses[1] == pytest.approx(2 * 0.69, abs=0.7)  # a discriminator that knows nothing yet


def test_learning_rate_is_halved_every_ten_epochs(training):
    rates = []
    for epoch in (0, 9, 10, 25):
        training.start_epoch(epoch)
        rates.append(training.adam.param_groups[0]["lr"])
    assert rates == pytest.approx([1e-4, 1e-4, 5e-5, 2.5e-5])


def test_vgg_is_left_out_where_its_weights_are_missing(monkeypatch, tmp_path):
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    assert local_vgg19() is None


def test_the_whole_training_leaves_a_generator(tmp_path, capsys):
    path = fit_paper(SMALL, tmp_path, torch.device("cpu"))
    payload = load_checkpoint(path)
    assert payload["network"] == {"generator": "paper", "frames": 6, "width": 8, "blocks": 16}
    assert payload["training"]["epoch"] == 2
    if not payload["training"]["vgg"]:
        assert "left out" in capsys.readouterr().out


def test_movies_are_scaled_and_repeat():
    settings = replace(SMALL, batch=1)
    first, second = (next(movie_batches(settings, 3)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert float(first[0].min()) == 0
    assert float(first[0].max()) == 1
    assert first[1].shape == (1, 1, 128, 128)
