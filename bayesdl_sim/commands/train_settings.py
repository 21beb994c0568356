"""Options of train.py into the settings of a step; what the step has no use for is refused."""

from dataclasses import fields
from typing import Any

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
from bayesdl_sim.utils.errors import InputError

__all__ = ["settings_of"]

MC_DROPOUT_RATE = 0.2  # of channels, where no rate is given
# Options that are no setting, but that both steps take.
OF_BOTH_STEPS = {"train_type", "sr_scale", "save_model_dir", "exp_name"}
# Values that the authors' command of step 2 states, and that change nothing in it.
WITHOUT_EFFECT_IN_STEP_2 = {"model": "BayesDL", "sgld": False}


def settings_of(options: dict[str, Any]) -> Step1Settings | Step2Settings:
    """Settings of the step that the options select.

    Args:
        options: name -> value of the options that were given, and of those with a default.

    Raises:
        InputError: options that contradict the step, or that have no effect in it.
    """
    tail = options["train_type"] == "uncertainty_tail"
    if options["sr_scale"] != 2:
        raise InputError(f"sr_scale: only 2 exists, the doubled grid, found {options['sr_scale']}")
    if tail and not options["likelihood"]:
        raise InputError("train_type uncertainty_tail needs a likelihood: add --likehood gauss")
    if not tail and options["likelihood"]:
        raise InputError(
            f"likehood {options['likelihood']} belongs to step 2: "
            "add --train_type uncertainty_tail, or leave it '' in step 1"
        )
    if tail:
        _refuse_step_1(options)
    shown = _theme(InputSettings, options)
    name = f"{options['exp_name']}-{shown.SISR_or_SIM or 'SIM'}"
    data = _theme(DataSettings, options)
    common = {
        "data": data,
        "numerics": _theme(NumericsSettings, options),
        "input": shown,
        "run": _theme(RunSettings, options, folder=options["save_model_dir"] / data.sample / name),
    }
    if tail:
        return Step2Settings(**common, tail=_theme(TailSettings, options))
    posterior = _posterior(options)
    return Step1Settings(
        **common,
        network=_network(options, posterior),
        sampler=_theme(SamplerSettings, options, posterior=posterior),
        energy=_theme(EnergySettings, options),
    )


def _refuse_step_1(options: dict[str, Any]) -> None:
    """Raises `InputError` for options of step 1 on the command line of step 2."""
    themes = [field.type for field in fields(Step2Settings)]
    known = {field.name for theme in themes for field in fields(theme)} - {"stop_after"}
    known |= OF_BOTH_STEPS
    useless = [
        name
        for name, value in options.items()
        if name not in known and (name, value) not in WITHOUT_EFFECT_IN_STEP_2.items()
    ]
    if useless:
        names = ", ".join("SGLD True" if name == "sgld" else name for name in sorted(useless))
        belong, them = ("belongs", "it") if len(useless) == 1 else ("belong", "them")
        raise InputError(
            f"{names} {belong} to step 1; step 2 (train_type uncertainty_tail) takes the members "
            f"as step 1 made them, so leave {them} out"
        )


def _theme(kind: type, options: dict[str, Any], **overrides: Any) -> Any:
    """One theme of the settings from the options of the same names."""
    names = {field.name for field in fields(kind)}
    values = {name: value for name, value in options.items() if name in names} | overrides
    return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})


def _posterior(options: dict[str, Any]) -> str:
    """The way to the members, which any of three options may name."""
    sgld = options.get("sgld", True)
    ways = {options[name] for name in ("posterior", "sampler") if name in options}
    if len(ways) > 1:
        raise InputError(
            f"posterior {options['posterior']} and sampler {options['sampler']} disagree"
        )
    chosen = ways.pop() if ways else ("sgld" if sgld else "point estimate")
    if not sgld and chosen in ("sgld", "released"):
        raise InputError(f"SGLD False gives one point estimate, but {chosen} was requested")
    return chosen


def _network(options: dict[str, Any], posterior: str) -> NetworkSettings:
    """The generator, with the defaults that the released options imply."""
    overrides = {"backbone": options.get("backbone")}
    if overrides["backbone"] is None:
        overrides["backbone"] = "dfcan" if options["model"] == "DFCAN" else "unet"
        if overrides["backbone"] == "unet" and "nGroups" in options and "levels" not in options:
            print("   --nGroups is an option of the released network: --backbone rcan is taken")
            overrides["backbone"] = "rcan"
    if posterior == "mc_dropout" and not {"drop", "drop2d"} & set(options):
        overrides["drop2d"] = MC_DROPOUT_RATE
    if start := options.get("init_from") or options.get("pretrained_G"):
        overrides["init_from"] = start
    return _theme(NetworkSettings, options, **overrides)
