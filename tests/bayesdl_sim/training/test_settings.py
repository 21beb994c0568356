"""Settings: their choices are the tables of the rooms, and nonsense is refused by its name."""

import dataclasses
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from bayesdl_sim.bayes.likelihoods import LIKELIHOODS
from bayesdl_sim.commands import train
from bayesdl_sim.models.bayesdl import BACKBONES
from bayesdl_sim.training import step1
from bayesdl_sim.training.posteriors import POSTERIORS
from bayesdl_sim.training.settings.checks import choices_of
from bayesdl_sim.training.settings.shared import InputSettings, NumericsSettings, RunSettings
from bayesdl_sim.training.settings.step1 import (
    BACKBONE_OPTIONS,
    EnergySettings,
    NetworkSettings,
    SamplerSettings,
    Step1Settings,
)
from bayesdl_sim.training.settings.step2 import Step2Settings, TailSettings
from bayesdl_sim.utils.errors import InputError

ROOT = Path(__file__).resolve().parents[3]


def themes():
    for step in (Step1Settings, Step2Settings):
        yield from (field.type for field in dataclasses.fields(step))


def test_choices_are_those_of_the_rooms():
    assert set(choices_of(NetworkSettings, "backbone")) == set(BACKBONES) == set(BACKBONE_OPTIONS)
    assert set(choices_of(TailSettings, "likelihood")) == set(LIKELIHOODS)
    assert set(choices_of(SamplerSettings, "posterior")) == set(POSTERIORS)
    assert choices_of(InputSettings, "SISR_or_SIM") == ("SIM", "SISR")
    assert choices_of(InputSettings, "input_frames") == ()


def test_settings_are_frozen_and_named():
    for theme in themes():
        assert theme.__dataclass_params__.frozen
        assert all(field.kw_only for field in dataclasses.fields(theme))
        documented = inspect.getdoc(theme).partition("Attributes:")[2]
        places = [documented.find(f"\n    {field.name}:") for field in dataclasses.fields(theme)]
        assert min(places) >= 0, theme
        assert places == sorted(places), f"{theme}: documented in another order"


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (NumericsSettings, {"precision": "fp16"}, "precision: expected auto, fp32, bf16, found"),
        (NumericsSettings, {"seed": -1}, "seed: expected a number from 0"),
        (InputSettings, {"SISR_or_SIM": "both"}, "SISR_or_SIM: expected SIM, SISR"),
        (InputSettings, {"input_frames": "1,2", "first_guess": True}, "all nine frames"),
        (NetworkSettings, {"levels": 0}, "levels: expected a positive number"),
        (NetworkSettings, {"backbone": "rcan", "levels": 3}, "choose the backbone unet"),
        (SamplerSettings, {"cycles": 0}, "cycles: expected a positive"),
        (SamplerSettings, {"burn_in": 1.5}, "burn_in: expected a share"),
        (
            SamplerSettings,
            {"explore": 1.5},
            "^explore: .* from 0 to below 1, found 1.5$",
        ),
        (SamplerSettings, {"explore": -0.1}, "^explore: expected a number from 0"),
        (
            SamplerSettings,
            {"prior_precision": -1.0},
            "^prior_precision: .* from 0, found -1$",
        ),
        (SamplerSettings, {"temperature": (1.0, -1.0)}, "^temperature: .* from 0, found -1$"),
        (SamplerSettings, {"temperature": (float("nan"),)}, "^temperature: .* found nan$"),
        (EnergySettings, {"outlier_gain": 0.1}, "need an outlier_dir"),
        (EnergySettings, {"fft_lambda": -0.1}, "fft_lambda: expected a number from 0"),
        (EnergySettings, {"mae_lambda": 0, "fft_lambda": 0, "ssim_lambda": 0}, "all are 0"),
        (TailSettings, {"likelihood": "cauchy"}, "likelihood: expected gauss"),
        (RunSettings, {"folder": Path("x"), "stop_after": 0}, "stop_after: expected a positive"),
    ],
)
def test_nonsense_is_refused_by_the_name_of_the_setting(kind, values, message):
    with pytest.raises(InputError, match=message) as refusal:
        kind(**values)
    assert "--" not in str(refusal.value)


def test_the_command_line_has_an_option_for_every_setting():
    """Every option has the name and the default of its setting."""
    words = "--sample s --epoch 7 --n_feat 8 --mae_lambda 2 --val_stacks 3 --temperature 1 2"
    settings = train.parse_args([*words.split(), "--cache_dir", "copies", "--seed", "5"])
    assert settings.sampler.epoch == 7
    assert settings.sampler.temperature == (1.0, 2.0)
    assert settings.run.cache_dir == Path("copies")
    assert settings.run.folder == Path("checkpoint/s/BayesDL-SIM")
    assert train.parse_args([]).sampler == SamplerSettings()
    assert train.parse_args([]).energy == EnergySettings()
    source = inspect.getsource(train)
    missing = {
        field.name
        for theme in themes()
        for field in dataclasses.fields(theme)
        if f'"--{field.name}"' not in source and field.name not in ("folder", "likelihood")
    }
    assert missing == set()


def test_the_loop_of_step_1_names_no_way():
    source = inspect.getsource(step1.fit_reconstruction)
    assert [name for name in (*POSTERIORS, "kind", "isinstance") if f'"{name}"' in source] == []


def test_help_does_not_wait_for_torch():
    code = "import sys, runpy; sys.argv = ['train.py', '--help']\n"
    code += "try: runpy.run_path('train.py', run_name='__main__')\n"
    code += "except SystemExit: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--cache_dir" in done.stdout
