"""Options of train.py: each step refuses those of the other, and takes those of both."""

import re
from pathlib import Path

import pytest

from bayesdl_sim.commands import train
from bayesdl_sim.utils.errors import InputError

STEP_2 = ["--train_type", "uncertainty_tail", "--likehood", "gauss"]
OF_STEP_1 = {  # every option that step 2 has no setting for, with a value that step 1 takes
    "model": "DFCAN",
    "backbone": "rcan",
    "n_feat": "32",
    "levels": "3",
    "nGroups": "4",
    "nBlocks": "2",
    "drop": "0.5",
    "drop2d": "0",
    "init_from": "nowhere",
    "outlier_dir": "any",
    "outlier_gain": "0.1",
    "outlier_batch_size": "3",
    "posterior": "ensemble",
    "sampler": "sgld",
    "members": "9",
    "burn_in": "0.5",
    "cycles": "7",
    "members_per_cycle": "2",
    "period": "50",
    "lr_sgld": "1e-4",
    "explore": "0.5",
    "temperature": "0.1",
    "trial_steps": "200",
    "prior_precision": "1",
    "mae_lambda": "1",
    "fft_lambda": "0.01",
    "ssim_lambda": "0.1",
    "stop_after": "3",
}
OF_BOTH = "--sample s --root_dir r --batch_size 4 --patch_size 32 --patches_per_stack 2"
OF_BOTH += " --val_stacks 2 --train_cells 3 --tell_optics True --seed 7 --precision fp32"
OF_BOTH += " --save_model_dir runs --exp_name e --cache_dir c --device cpu --gpu_id 0 --resume"
OF_BOTH += " --chains 2 --first_guess False --epoch 3 --lr 1e-3 --sr_scale 2 --model BayesDL"


@pytest.mark.parametrize("name", OF_STEP_1)
def test_step_2_refuses_an_option_of_step_1_by_its_name(name):
    with pytest.raises(InputError, match=rf"^{name} belongs to step 1; .* so leave it out$"):
        train.parse_args([*STEP_2, f"--{name}", OF_STEP_1[name]])


def test_step_2_names_all_of_them_at_once():
    words = "--cycles 7 --SGLD True --stop_after 3"
    with pytest.raises(InputError, match=r"^cycles, SGLD True, stop_after belong to step 1"):
        train.parse_args([*STEP_2, *words.split()])


@pytest.mark.parametrize("more", [STEP_2, ["--SGLD", "False", *STEP_2], ["--SGLD", "True"], []])
def test_options_of_both_steps_are_taken_by_both(more):
    settings = train.parse_args([*OF_BOTH.split(), *more])
    assert hasattr(settings, "tail") == (STEP_2[0] in more)
    assert (settings.data.batch_size, settings.run.chains, settings.numerics.seed) == (4, 2, 7)


def test_options_of_the_released_script_without_effect_are_so_in_both_steps(capsys):
    train.parse_args([*STEP_2, "--num_workers", "4", "--act", "relu", "--mfvi", "False"])
    assert "--num_workers 4: has no effect" in capsys.readouterr().out


def test_every_option_of_train_py_is_tried_here_or_named():
    text = Path(train.__file__).read_text(encoding="utf-8")
    options = set(re.findall(r'"--(\w+)"', text))
    tried = set(OF_STEP_1) | set(re.findall(r"--(\w+)", OF_BOTH))
    elsewhere = {"SGLD", "sgld", "likehood", "likelihood", "train_type", "pretrained_G"}
    assert options - tried - elsewhere == {"input_frames", "SISR_or_SIM"}
