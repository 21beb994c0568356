"""The summary of a training: drawn from whatever the run has written so far."""

import warnings

import numpy as np
import pytest
from skimage.io import imread

from bayesdl_sim.training import summary as training_summary
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.run_log import EpochLog


def run_folder(folder, epochs=3, members=2, tails=True):
    """What train.py leaves behind, ten steps to an epoch."""
    log = EpochLog(folder, "step1", tensorboard=False)
    steps = EpochLog(folder, "step1_steps", tensorboard=False, count="step")
    for epoch in range(epochs):
        for step in range(10 * epoch, 10 * epoch + 10):
            steps.write(step, {"loss": 1 / (1 + step), "lr": 1e-3, "noise": float(epoch > 1)})
        log.write(epoch, {"loss": 0.1, "psnr": 20.0 + epoch, "ssim": 0.5})
    for index in range(1, members + 1):
        training = {"step": 10 * index, "psnr": 20.0 + index}
        save_checkpoint(member_path(folder, index), {"training": training})
    if tails:
        log = EpochLog(folder, "step2", tensorboard=False)
        for row in range(2 * members):
            log.write(row, {"member": 1 + row // 2, "nll": -1.0, "validation_nll": -0.9})
    return folder


def test_every_panel_shows_its_curve(tmp_path, monkeypatch):
    drawn = []
    original = training_summary.Figure.savefig

    def keep(figure, *words, **options):
        drawn.append(figure)
        return original(figure, *words, **options)

    monkeypatch.setattr(training_summary.Figure, "savefig", keep)
    path = training_summary.write_summary(run_folder(tmp_path))
    assert imread(path).shape[2] >= 3
    losses, validation, scores, size, noise, tails = drawn[0].axes[:6]
    np.testing.assert_array_equal(validation.lines[0].get_xdata(), [10, 20, 30])
    np.testing.assert_array_equal(validation.lines[0].get_ydata(), [20, 21, 22])
    np.testing.assert_array_equal(scores.lines[0].get_ydata(), [21, 22])
    marks = [line.get_xdata()[0] for line in losses.lines if line.get_linestyle() == ":"]
    assert marks == [10, 20]
    assert len(size.lines) == 1 + 2
    assert noise.get_ylim()[1] > 1
    assert len(tails.lines) == 2 * 2


@pytest.mark.parametrize("missing", [{}, {"members": 0}, {"tails": False}, {"epochs": 0}])
def test_what_is_missing_leaves_a_panel_empty(tmp_path, missing):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = training_summary.write_summary(run_folder(tmp_path, **missing))
    assert path.stat().st_size > 10_000
