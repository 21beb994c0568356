"""The identity of a run: every setting is in it, paths by what they name, places not at all."""

import copy
import dataclasses
import json
from pathlib import Path
from typing import get_args, get_type_hints

import pytest
import torch

from bayesdl_sim.models.bayesdl import build_network, member_payload, network_config
from bayesdl_sim.training.identity import identity_of, run_record, trunk_hash, trunks_hash
from bayesdl_sim.training.settings.checks import choices_of
from bayesdl_sim.training.settings.shared import (
    DataSettings,
    InputSettings,
    NumericsSettings,
    RunSettings,
)
from bayesdl_sim.training.settings.step1 import (
    EnergySettings,
    NetworkSettings,
    SamplerSettings,
    Step1Settings,
)
from bayesdl_sim.training.settings.step2 import Step2Settings, TailSettings
from bayesdl_sim.utils.checkpoints import save_checkpoint
from bayesdl_sim.utils.errors import InputError
from bayesdl_sim.utils.resume import require_same

CONTENTS = {"root_dir": "a", "outlier_dir": "b", "init_from": "c", "pretrained_G": "d"}


def common():
    return {
        "data": DataSettings(),
        "numerics": NumericsSettings(),
        "input": InputSettings(),
        "run": RunSettings(folder=Path("here")),
    }


STEPS = {
    1: Step1Settings(
        **common(), network=NetworkSettings(), sampler=SamplerSettings(), energy=EnergySettings()
    ),
    2: Step2Settings(**common(), tail=TailSettings()),
}


def another(kind, name, value):
    """A value of the type of a setting that is not the present one."""
    choices = [choice for choice in choices_of(kind, name) if choice != value]
    if choices:
        return choices[-1]
    annotation = get_type_hints(kind)[name]
    plain = next(iter(get_args(annotation)), annotation) if value is None else type(value)
    if issubclass(plain, Path):
        return Path(f"other_{name}")
    if plain is tuple:
        return (*value, 10.0)
    if plain is bool:
        return not value
    return {int: 3, float: 0.25, str: "1,2,3"}[plain] if value is None else value + plain(1)


def changed(settings, theme, name, value):
    """These settings with one other value; whatever else it should entail is left as it is."""
    values = copy.copy(getattr(settings, theme))
    object.__setattr__(values, name, value)
    return dataclasses.replace(settings, **{theme: values})


def every_setting(run=False):
    """(step, theme, name) of every setting there is; read from the classes."""
    for step, settings in STEPS.items():
        for theme in dataclasses.fields(settings):
            values = getattr(settings, theme.name)
            if isinstance(values, RunSettings) == run:
                for field in dataclasses.fields(values):
                    yield pytest.param(step, theme.name, field.name, id=f"{step}-{field.name}")


@pytest.mark.parametrize(("step", "theme", "name"), list(every_setting()))
def test_every_setting_is_part_of_the_identity(step, theme, name):
    settings = STEPS[step]
    values = getattr(settings, theme)
    other = another(type(values), name, getattr(values, name))
    before = identity_of(settings, CONTENTS)
    contents = CONTENTS
    if isinstance(other, Path):  # what a path names counts, not the path
        assert (
            identity_of(changed(settings, theme, name, other), CONTENTS) == before
            or getattr(values, name) is None
        )
        contents = {**CONTENTS, name: "z"}
    after = identity_of(changed(settings, theme, name, other), contents)
    require_same(before, before, "run")
    with pytest.raises(InputError, match=rf"^{name}: .*run.*resume with the same settings"):
        require_same(before, after, "run")


@pytest.mark.parametrize(("step", "theme", "name"), list(every_setting()))
def test_resume_with_any_other_setting_is_refused(
    trainer, started, outlier_set, finished, step, theme, name
):
    """Runs the function of the step on disk: the settings are those that it is handed."""
    paths = {"root_dir": outlier_set, "outlier_dir": outlier_set}
    paths |= dict.fromkeys(("init_from", "pretrained_G"), finished / "before" / "member_02.pth")
    more = ["--pretrained_G", str(finished / "before")] if step == 2 else []
    settings = trainer.settings(started[step], *more, "--resume", step=step)
    values = getattr(settings, theme)
    value = paths.get(name) or another(type(values), name, getattr(values, name))
    try:
        values = dataclasses.replace(values, **{name: value})
        other = dataclasses.replace(settings, **{theme: values})
    except InputError:  # it would entail others: only that it is refused matters here
        other = changed(settings, theme, name, value)
    with pytest.raises(InputError, match=rf"\b{name}\b") as refusal:
        trainer.fit(other)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(("step", "theme", "name"), list(every_setting(run=True)))
def test_where_and_how_long_are_not(step, theme, name):
    settings = STEPS[step]
    other = another(RunSettings, name, getattr(settings.run, name))
    assert other != getattr(settings.run, name)
    moved = changed(settings, theme, name, other)
    assert identity_of(moved, CONTENTS) == identity_of(settings, CONTENTS)
    assert run_record(moved) != run_record(settings)


@pytest.mark.parametrize("step", list(STEPS))
def test_identity_and_record_survive_json(step):
    for record in (identity_of(STEPS[step], CONTENTS), run_record(STEPS[step])):
        assert json.loads(json.dumps(record)) == record


def test_a_path_without_its_content_is_a_fault():
    with pytest.raises(KeyError, match="root_dir"):
        identity_of(STEPS[1], {})


def test_settings_that_were_unknown_then_are_refused_too():
    now = identity_of(STEPS[1], CONTENTS)
    before = {theme: dict(values) for theme, values in now.items()}
    del before["sampler"]["cycles"]
    with pytest.raises(InputError, match="cycles: .* begun with cycles unknown, now it is 4"):
        require_same(before, now, "run")
    with pytest.raises(InputError, match="cycles: .* begun with cycles 4, now it is unknown"):
        require_same(now, before, "run")


def stored_member(path, likelihood="", seed=0, **sampler):
    network = build_network(
        network_config("unet", likelihood, None, width=4, levels=2, blocks=1), seed
    )
    trunk = build_network(network_config("unet", "", None, width=4, levels=2, blocks=1), 7)
    network.trunk.load_state_dict(trunk.trunk.state_dict())
    save_checkpoint(path, member_payload(network, {"kind": "sgld", **sampler}, {"psnr": 1.0}))
    return network


def test_a_tail_does_not_change_a_member_but_a_weight_does(tmp_path):
    paths = [tmp_path / f"member_{n:02d}.pth" for n in range(1, 5)]
    stored_member(paths[0])
    stored_member(paths[1], "gauss", seed=5)
    stored_member(paths[2], temperature=2.0)
    network = stored_member(paths[3])
    assert trunk_hash(paths[0]) == trunk_hash(paths[1]) == trunk_hash(paths[3])
    assert trunk_hash(paths[0]) != trunk_hash(paths[2])
    with torch.no_grad():
        weight = next(network.trunk.parameters())
        weight.view(-1)[0] = torch.nextafter(weight.view(-1)[0], torch.tensor(9.0))
    save_checkpoint(paths[3], member_payload(network, {"kind": "sgld"}, {"psnr": 1.0}))
    assert trunk_hash(paths[0]) != trunk_hash(paths[3])
    assert trunks_hash(paths[:2]) != trunks_hash(paths[:1])
