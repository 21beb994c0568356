"""Trains BayesDL-SIM in two decoupled steps (DeT).

    # Step 1: the reconstruction; its weights are sampled by SGLD, every draw is a member
    python train.py --model BayesDL --train_type '' --likehood '' --SGLD True

    # Step 2: the uncertainty tail of every member, on a frozen trunk
    python train.py --model BayesDL --train_type uncertainty_tail --likehood 'gauss' --SGLD False \
        --epoch 300

    # A small set first: a minute for both steps
    python -m DatasetGenerate.from_simulation --sample F-actin --save_path runs/small --cells 12 \
        --levels 2 --size 128
    python train.py --root_dir runs/small --epoch 12
    python train.py --root_dir runs/small --train_type uncertainty_tail --likehood gauss \
        --epoch 5

    # Another way to a posterior, at the same budget; step 2 and test.py are the same for all
    python train.py --root_dir runs/small --epoch 12 --exp_name ensemble --posterior ensemble

    # Few cells of a new structure: start from a trained member
    python train.py --root_dir runs/small --exp_name tuned --epoch 12 \
        --init_from checkpoint/F-actin/pretrained_G

Everything goes to `<save_model_dir>/<sample>/<exp_name>-SIM/`: member_01.pth ..., config.json,
CSVs and TensorBoard curves per step, summary.png, latest.pth for --resume.
"""

import argparse
import copy
import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from bayesdl_sim.bayes.calibration.held_out import (
    Ratio,
    choose_temperature,
    held_out_log_density,
    ratio_of_means,
)
from bayesdl_sim.bayes.energy import reconstruction_energy
from bayesdl_sim.bayes.functional_prior import prior_function
from bayesdl_sim.bayes.likelihoods import LIKELIHOODS, find_likelihood, standard_deviation
from bayesdl_sim.bayes.prediction import Welford
from bayesdl_sim.bayes.schedule import CyclicSchedule, turn_of, warm_up_cosine
from bayesdl_sim.bayes.sgld import SGLD, ReleasedNoise
from bayesdl_sim.data.inputs import FirstGuess, InputSpec, chosen_frames, input_spec, require_inputs
from bayesdl_sim.data.sets.datasets import Patches, SimDataset
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.models.bayesdl import (
    BACKBONES,
    BayesDL,
    build_network,
    load_member,
    member_payload,
    network_config,
    with_inputs,
    with_tail,
)
from bayesdl_sim.models.dropout import fix_dropout, seed_dropout
from bayesdl_sim.models.members import first_member, open_member
from bayesdl_sim.models.released import is_released, list_released
from bayesdl_sim.physics.reconstruction.first_guess import FIRST_GUESS_VERSION, first_guess
from bayesdl_sim.training.summary import write_summary
from bayesdl_sim.utils.checkpoints import (
    list_members,
    load_checkpoint,
    member_path,
    save_checkpoint,
)
from bayesdl_sim.utils.devices import autocast, choose_device, choose_precision
from bayesdl_sim.utils.errors import (
    InputError,
    require_folder,
    run_script,
    strict_bool,
    writable_folder,
)
from bayesdl_sim.utils.files import read_json, write_json
from bayesdl_sim.utils.released import RELEASED_OPTIONS, accept_without_effect, first_gpu
from bayesdl_sim.utils.resume import load_progress, refuse_used_folder, save_progress
from bayesdl_sim.utils.run_log import EpochLog, provenance

STEP_1_EPOCHS = 60
STEP_2_EPOCHS = 20
RESIDUAL_TOLERANCE = 0.10  # beyond it, the tail is fitted on unseen cells
GRADIENT_NORM = 1.0
NOISY_SHARE = 0.4  # of a period of the released noise
OUTLIER_GAIN, OUTLIER_BATCH_SIZE = 0.15, 3
MC_DROPOUT_RATE = 0.2  # of channels, where no rate is given
FIRST_GUESS = FirstGuess(first_guess, FIRST_GUESS_VERSION)
POSTERIORS = ("sgld", "ensemble", "mc_dropout", "released")
BACKBONE_OPTIONS = {  # per backbone: option -> argument of the generator, default
    "unet": {"n_feat": ("width", 32), "levels": ("levels", 3), "nBlocks": ("blocks", 2)},
    "rcan": {"n_feat": ("width", 64), "nGroups": ("groups", 5), "nBlocks": ("blocks", 10)},
    "dfcan": {"n_feat": ("width", 64), "nGroups": ("groups", 4), "nBlocks": ("blocks", 4)},
}


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """The command line, with the names of the original scripts where they exist."""
    parser = argparse.ArgumentParser(
        description="Trains BayesDL-SIM: step 1 (SGLD) or step 2 (--train_type uncertainty_tail).",
        allow_abbrev=False,
    )
    data = parser.add_argument_group("data")
    data.add_argument("--sample", default="F-actin", help="structure; names the results folder")
    data.add_argument(
        "--root_dir",
        type=Path,
        default=Path("DatasetGenerate/Trainingdata"),
        help="data set, or the folder that holds it under the name of the sample",
    )
    data.add_argument(
        "--input_frames", help="show the network the wide field and these frames only, as 1,2,3"
    )
    data.add_argument(
        "--SISR_or_SIM", choices=["SIM", "SISR"], help="SISR: show it the wide field alone"
    )
    data.add_argument("--sr_scale", type=int, default=2, help="2, the only one")
    data.add_argument("--batch_size", type=int, default=8, help="patches per step")
    data.add_argument("--patch_size", type=int, default=64, help="raw pixels")
    data.add_argument("--patches_per_stack", type=int, default=4, help="crops per stack and epoch")
    data.add_argument("--val_stacks", type=int, default=16, help="stacks of each validation")
    data.add_argument(
        "--outlier_dir", type=Path,
        help="data set of stacks unlike these (from_simulation --sample outliers), on which chains "
        "of opposite --outlier_gain shall differ (step 1)",
    )  # fmt: skip

    network = parser.add_argument_group("network")
    network.add_argument("--model", choices=["BayesDL", "DFCAN"], default="BayesDL")
    network.add_argument("--backbone", choices=sorted(BACKBONES), help="unet (default), ...")
    network.add_argument("--n_feat", type=int, help="features at full resolution (U-Net 32, or 64)")
    network.add_argument("--levels", type=int, help="resolutions of the U-Net (3)")
    network.add_argument("--nGroups", type=int, help="groups of the RCAN (5) or DFCAN (4)")
    network.add_argument(
        "--nBlocks", type=int, help="blocks per level (U-Net 2) or group (RCAN 10, DFCAN 4)"
    )
    network.add_argument(
        "--first_guess", type=strict_bool,
        help="show the network a Wiener reconstruction beside the frames (True for the U-Net, or "
        "as the member of --init_from)",
    )  # fmt: skip
    network.add_argument("--drop", type=float, help="dropout of elements within the network (0)")
    network.add_argument(
        "--drop2d", type=float, help="dropout of channels before the last convolution (0)"
    )
    network.add_argument(
        "--init_from", type=Path, help="start step 1 from this member (a file, or a folder's first)"
    )
    network.add_argument(
        "--pretrained_G", type=Path,
        help="step 1: as --init_from; step 2: take the members of step 1 from this folder",
    )  # fmt: skip

    step1 = parser.add_argument_group("step 1: reconstruction")
    step1.add_argument("--train_type", choices=["", "uncertainty_tail"], default="")
    step1.add_argument(
        "--SGLD", "--sgld", dest="sgld", type=strict_bool, default=True,
        help="True: sample members; False: step 1 gives one point estimate",
    )  # fmt: skip
    step1.add_argument(
        "--posterior", choices=POSTERIORS,
        help="how members come about (sgld). ensemble: networks from different seeds, one after "
        "the other, each with an equal share of the steps of --epoch; mc_dropout: passes of one "
        "network with dropout; released: Adam and the noise of the released code",
    )  # fmt: skip
    step1.add_argument("--sampler", choices=["sgld", "released"], help="older name of --posterior")
    step1.add_argument(
        "--members", type=int,
        help="of an ensemble or of MC-dropout (as many as SGLD: cycles x members_per_cycle)",
    )  # fmt: skip
    step1.add_argument("--epoch", type=int, help=f"epochs ({STEP_1_EPOCHS}; step 2 per member: 20)")
    step1.add_argument("--lr", type=float, help="Adam's step size (6e-4; step 2: 2e-3)")
    step1.add_argument("--burn_in", type=float, default=0.6, help="share of the epochs with Adam")
    step1.add_argument("--cycles", type=int, default=4, help="restarts of the sampler")
    step1.add_argument("--members_per_cycle", type=int, default=2)
    step1.add_argument(
        "--period", type=int, default=50,
        help="epochs from draw to draw of --posterior released, the last two fifths with noise",
    )  # fmt: skip
    step1.add_argument("--lr_sgld", type=float, default=1e-4, help="largest step size h of SGLD")
    step1.add_argument("--explore", type=float, default=0.5, help="share of a cycle without noise")
    step1.add_argument(
        "--temperature", type=float, nargs="+", default=[1.0],
        help="of the Gibbs posterior; of several the best by held-out likelihood is taken",
    )  # fmt: skip
    step1.add_argument("--trial_steps", type=int, default=200, help="of each temperature's trial")
    step1.add_argument("--prior_precision", type=float, default=1.0, help="of every weight")
    step1.add_argument(
        "--outlier_gain", type=float,
        help="of this chain's prior function: outliers are to come out brighter by this share "
        f"({OUTLIER_GAIN}), or darker where it is negative",
    )  # fmt: skip
    step1.add_argument("--outlier_batch_size", type=int, help="outliers per step (3)")
    step1.add_argument("--mae_lambda", type=float, default=1.0)
    step1.add_argument("--fft_lambda", type=float, default=0.01)
    step1.add_argument("--ssim_lambda", type=float, default=0.1)

    step2 = parser.add_argument_group("step 2: uncertainty tail")
    step2.add_argument(
        "--likehood", "--likelihood", dest="likelihood", choices=["", *LIKELIHOODS], default=""
    )

    run = parser.add_argument_group("run")
    run.add_argument("--save_model_dir", type=Path, default=Path("checkpoint"))
    run.add_argument("--exp_name", default="BayesDL")
    run.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:n")
    run.add_argument("--gpu_id", type=first_gpu, help="number of the GPU")
    run.add_argument("--precision", choices=["auto", "fp32", "bf16"], default="auto")
    run.add_argument("--seed", type=int, default=42)
    run.add_argument("--stop_after", type=int, help="end step 1 after this epoch, before its last")
    run.add_argument("--resume", action="store_true", help="go on after an interruption")
    accept_without_effect(parser, RELEASED_OPTIONS)
    args = parser.parse_args(argv)
    check_args(args)
    return args


def check_args(args: argparse.Namespace) -> None:
    """Settles defaults that depend on the step, and refuses what contradicts itself."""
    tail = args.train_type == "uncertainty_tail"
    settle_posterior(args, tail)
    settle_network(args)
    settle_inputs(args)
    settle_outliers(args, tail)
    args.epoch = (
        args.epoch if args.epoch is not None else (STEP_2_EPOCHS if tail else STEP_1_EPOCHS)
    )
    args.lr = args.lr if args.lr is not None else (2e-3 if tail else 6e-4)
    if tail and not args.likelihood:
        raise InputError("--train_type uncertainty_tail needs a likelihood: add --likehood gauss")
    if not tail and args.likelihood:
        raise InputError(
            f"--likehood {args.likelihood} belongs to step 2: add --train_type uncertainty_tail, "
            "or leave it '' in step 1"
        )
    if args.sr_scale != 2:
        raise InputError(f"--sr_scale {args.sr_scale}: only 2 exists, the doubled grid")
    if args.pretrained_G is not None and not tail:
        args.init_from = args.init_from or args.pretrained_G
    positive = (
        "epoch lr batch_size patch_size patches_per_stack val_stacks trial_steps lr_sgld members "
        "period"
    )
    for name in positive.split():
        if not getattr(args, name) > 0:
            raise InputError(f"--{name}: expected a positive number, found {getattr(args, name)}")
    if not 0 <= args.burn_in <= 1:
        raise InputError(f"--burn_in is a share of the epochs, 0 to 1; found {args.burn_in}")


def settle_posterior(args: argparse.Namespace, tail: bool) -> None:
    """One name for the way to the members: of `POSTERIORS`, or "point estimate"; step 2: ""."""
    named = {args.posterior, args.sampler} - {None}
    if len(named) > 1:
        raise InputError(f"--posterior {args.posterior} and --sampler {args.sampler} disagree")
    chosen = named.pop() if named else ("sgld" if args.sgld else "point estimate")
    if not (tail or args.sgld) and chosen in ("sgld", "released"):
        raise InputError(f"--SGLD False gives one point estimate, but {chosen} was asked for")
    args.posterior = "" if tail else chosen
    args.sgld = args.posterior in ("sgld", "released")
    args.sampler = args.sampler or ("released" if chosen == "released" else "sgld")
    args.members = args.cycles * args.members_per_cycle if args.members is None else args.members


def settle_inputs(args: argparse.Namespace) -> None:
    """Which frames; the first guess needs all nine."""
    frames = chosen_frames(args.SISR_or_SIM, args.input_frames)
    if frames is not None and args.first_guess:
        raise InputError(
            "--first_guess True makes a Wiener reconstruction of all nine frames: leave it out, or "
            "leave out --input_frames and --SISR_or_SIM"
        )
    if frames == ():
        args.SISR_or_SIM = "SISR"


def settle_outliers(args: argparse.Namespace, tail: bool) -> None:
    """Defaults of the prior on functions, which needs its data and acts in step 1 alone."""
    chosen = args.outlier_gain, args.outlier_batch_size
    if args.outlier_dir is None:
        if chosen != (None, None):
            raise InputError("--outlier_gain and --outlier_batch_size need --outlier_dir")
        return
    if tail:
        raise InputError("--outlier_dir belongs to step 1: step 2 does not move what it acts on")
    args.outlier_gain = OUTLIER_GAIN if chosen[0] is None else chosen[0]
    args.outlier_batch_size = OUTLIER_BATCH_SIZE if chosen[1] is None else chosen[1]
    if not (args.outlier_gain > -1 and args.outlier_batch_size > 0):
        raise InputError(
            f"--outlier_gain must be above -1 and --outlier_batch_size at least 1, found "
            f"{args.outlier_gain:g} and {args.outlier_batch_size}"
        )


def settle_network(args: argparse.Namespace) -> None:
    """Defaults of the backbone's own options; refuses those of another backbone."""
    if args.backbone is None:
        args.backbone = "dfcan" if args.model == "DFCAN" else "unet"
        if args.backbone == "unet" and args.nGroups is not None and args.levels is None:
            print("   --nGroups is an option of the released network: --backbone rcan is taken")
            args.backbone = "rcan"
    settle_dropout(args)
    own = BACKBONE_OPTIONS[args.backbone]
    for name in ("n_feat", "levels", "nGroups", "nBlocks"):
        value = getattr(args, name)
        if name in own:
            setattr(args, name, own[name][1] if value is None else value)
        elif value is not None:
            others = [backbone for backbone, known in BACKBONE_OPTIONS.items() if name in known]
            raise InputError(
                f"--{name} is not for --backbone {args.backbone}: leave it out, or add --backbone "
                f"{' or '.join(others)}"
            )


def settle_dropout(args: argparse.Namespace) -> None:
    """Rates of 0, but for MC-dropout, which is nothing without."""
    mc_dropout = args.posterior == "mc_dropout"
    if mc_dropout and args.drop is None and args.drop2d is None:
        args.drop2d = MC_DROPOUT_RATE
    args.drop, args.drop2d = args.drop or 0.0, args.drop2d or 0.0
    for name in ("drop", "drop2d"):
        if not 0 <= getattr(args, name) < 1:
            raise InputError(f"--{name} is a share, 0 to below 1; found {getattr(args, name)}")
    dropping = args.drop + args.drop2d > 0
    if dropping and args.backbone == "dfcan":
        raise InputError("--drop and --drop2d: dfcan has no dropout; choose another --backbone")
    if mc_dropout and not dropping:
        raise InputError("--posterior mc_dropout needs --drop or --drop2d above 0")


class Run(NamedTuple):
    """What both steps share: where to write, where to compute, what to learn from."""

    folder: Path
    device: torch.device
    dtype: torch.dtype
    train: SimDataset
    validation: SimDataset
    outliers: SimDataset | None = None


# ---------------------------------------------------------------------------------------------
# Set-up
# ---------------------------------------------------------------------------------------------


def open_run(args: argparse.Namespace) -> Run:
    """Finds the data, chooses the device, makes the folder, and says all of it."""
    root = find_dataset(args.root_dir, args.sample)
    name = f"{args.exp_name}-{args.SISR_or_SIM or 'SIM'}"
    folder = writable_folder(args.save_model_dir / args.sample / name)
    inputs = choose_inputs(args, folder)
    device = choose_device(args.device, args.gpu_id)
    dtype = choose_precision(args.precision, device)
    train, validation = (
        SimDataset(root, part, inputs=inputs, first_guess=FIRST_GUESS)
        for part in ("train", "validation")
    )
    outliers = None
    if args.outlier_dir is not None:
        root = find_dataset(args.outlier_dir, "outliers")
        outliers = SimDataset(root, "train", inputs=inputs, first_guess=FIRST_GUESS)
        print(f"  outliers: {len(outliers)} stacks, gain {args.outlier_gain:+g}")
    run = Run(folder, device, dtype, train, validation, outliers)
    for part in (run.train, run.validation):
        print(f"{part.part:>10}: {len(part)} stacks of {len(part.cells)} cells, {part.size} pixels")
    print(f"     input: {inputs.in_words}")
    print(f"    device: {device}, {str(dtype).removeprefix('torch.')}; results in {folder}")
    return run


def choose_inputs(args: argparse.Namespace, folder: Path) -> InputSpec:
    """What the network is shown: as the member that it starts from, else as the options say."""
    tail = args.train_type == "uncertainty_tail"
    if tail or args.init_from is not None:
        path = step_1_members(args, folder)[0] if tail else first_member(args.init_from)
        spec = input_spec(open_member(path).network.config)
        require_inputs(spec, args.SISR_or_SIM, args.input_frames)
        if tail or args.first_guess is None:
            return spec
    frames = chosen_frames(args.SISR_or_SIM, args.input_frames)
    guess = frames is None and args.backbone == "unet"
    return InputSpec(frames, guess if args.first_guess is None else args.first_guess)


def find_dataset(root: Path, sample: str) -> Path:
    """`root/sample` as in the original scripts, or `root` itself."""
    for candidate in (root / sample, root):
        if (candidate / "Raw").is_dir():
            return candidate
    raise InputError(
        f"no data set in {root} (looked for Raw/ in {root / sample} and {root}): make one with "
        f"python -m DatasetGenerate.from_simulation --sample {sample} --save_path {root / sample}"
    )


def write_config(run: Run, step: str, args: argparse.Namespace, facts: dict[str, Any]) -> None:
    """Adds a step to config.json of the run."""
    path = run.folder / "config.json"
    config = read_json(path) if path.is_file() else {}
    options = {k: str(v) if isinstance(v, Path) else v for k, v in vars(args).items()}
    options.pop("resume")
    data = {"train_cells": len(run.train.cells), "train_stacks": len(run.train)}
    config[step] = {"options": options, "data": data, "provenance": provenance(), **facts}
    write_json(path, config)


def to_device(patches: Patches, device: torch.device) -> tuple[Tensor, Tensor]:
    """Raw frames channels-last, where convolutions are fastest, and the target."""
    raw = patches.raw.to(device, memory_format=torch.channels_last, non_blocking=True)
    return raw, patches.target.to(device, non_blocking=True)


def batches(run: Run, part: SimDataset, args: argparse.Namespace, epoch: int) -> Iterator[Patches]:
    """One epoch of a part."""
    return part.batches(epoch, args.seed, args.batch_size, args.patch_size, args.patches_per_stack)


def endless(args: argparse.Namespace, run: Run, part: SimDataset) -> Iterator[Patches]:
    """Batches of a part without end, none of them one of a training epoch."""
    for epoch in itertools.count(10**6):
        yield from batches(run, part, args, epoch)


def outlier_batches(args: argparse.Namespace, run: Run, epoch: int) -> Iterator[Patches | None]:
    """As many batches of outliers as an epoch needs; None for each where there are no outliers."""
    if run.outliers is None:
        yield from itertools.repeat(None)
        return
    for lap in itertools.count(1):
        yield from run.outliers.batches(
            epoch, args.seed + lap, args.outlier_batch_size, args.patch_size
        )


class Diverged(InputError):
    """The energy is no longer a number."""


def require_finite(loss: Tensor, where: str) -> float:
    """The loss as a number; a diverged run must not go on writing members."""
    value = loss.item()
    if not math.isfinite(value):
        raise Diverged(
            f"the loss is {value} in {where}: the training diverged; lower --lr (or --lr_sgld, "
            "--temperature) and start again, or --resume from the last good epoch"
        )
    return value


# ---------------------------------------------------------------------------------------------
# Step 1: reconstruction
# ---------------------------------------------------------------------------------------------


class Plan(NamedTuple):
    """Which epochs burn in and which sample; how many networks share the burn-in (an ensemble)."""

    burn_in_epochs: int
    epochs: int
    steps_per_epoch: int
    cyclic: CyclicSchedule | None
    networks: int = 1

    @property
    def burn_in_steps(self) -> int:
        """Steps of Adam."""
        return self.burn_in_epochs * self.steps_per_epoch


def make_plan(args: argparse.Namespace, steps_per_epoch: int) -> Plan:
    """Burn-in and cycles from the options; without SGLD all epochs burn in."""
    if args.posterior != "sgld":
        networks = args.members if args.posterior == "ensemble" else 1
        return Plan(args.epoch, args.epoch, steps_per_epoch, None, networks)
    burn_in = min(round(args.burn_in * args.epoch), args.epoch - 1)
    cycle_epochs = (args.epoch - burn_in) / args.cycles
    cyclic = CyclicSchedule(
        cycles=args.cycles,
        steps_per_cycle=max(1, int(cycle_epochs * steps_per_epoch)),
        lr_max=args.lr_sgld,
        explore_fraction=args.explore,
        members_per_cycle=args.members_per_cycle,
        temperature=args.temperature[0],
    )
    return Plan(burn_in, args.epoch, steps_per_epoch, cyclic)


def initial_network(args: argparse.Namespace, inputs: InputSpec, number: int = 0) -> BayesDL:
    """A new network, seeded by its number in an ensemble, or the trunk of `--init_from`."""
    seed = args.seed + number
    dropout = {name: getattr(args, name) for name in ("drop", "drop2d") if getattr(args, name) > 0}
    if args.init_from is not None:
        path = first_member(args.init_from)
        print(f"   starts from {path}")
        member = open_member(path)
        return with_inputs(member, inputs.to_config(), inputs.channels, seed, **dropout)
    own = BACKBONE_OPTIONS[args.backbone]
    options = {argument: getattr(args, name) for name, (argument, _) in own.items()} | dropout
    if args.backbone == "unet":
        options["averaged"] = inputs.averaged
    config = network_config(
        args.backbone, "", inputs.to_config(), in_channels=inputs.channels, **options
    )
    return build_network(config, seed)


def begin_again(args: argparse.Namespace, run: Run, network: BayesDL, adam: Any, n: int) -> None:
    """Puts network `n` of an ensemble in the place of the one before."""
    network.load_state_dict(initial_network(args, run.train.inputs, n).state_dict())
    adam.state.clear()


def fit_reconstruction(args: argparse.Namespace, run: Run) -> None:
    """Step 1: Adam burns in, SGLD samples, members are collected by the schedule."""
    plan = make_plan(args, run.train.steps(args.batch_size, args.patches_per_stack))
    network = initial_network(args, run.train.inputs).to(
        run.device, memory_format=torch.channels_last
    )
    parameters = list(network.trunk.parameters())
    adam = torch.optim.Adam(parameters, lr=args.lr)
    generator = torch.Generator(run.device).manual_seed(args.seed)
    sgld = SGLD(
        parameters, args.lr_sgld, run.train.pixels, args.temperature[0], args.prior_precision,
        precondition=True, generator=generator,
    )  # fmt: skip
    noisy = round(NOISY_SHARE * args.period)
    released = ReleasedNoise(parameters, args.period, noisy, generator)
    parts = {"network": network, "adam": adam, "sgld": sgld, "released": released}
    start, collected, temperature = resume_step_1(args, run, parts)
    print(f"parameters: {sum(p.numel() for p in parameters):,}; {plan.steps_per_epoch} steps/epoch")
    write_config(run, "step 1", args, {"network": network.config, "num_data": run.train.pixels})

    log = EpochLog(run.folder, "step1", start)
    first_step = start * plan.steps_per_epoch
    step_log = EpochLog(run.folder, "step1_steps", first_step, tensorboard=False, count="step")
    for epoch in range(start, plan.epochs):
        began, losses = time.time(), []
        sampling = plan.cyclic is not None and epoch >= plan.burn_in_epochs
        if sampling and temperature is None:
            temperature = settle_temperature(args, run, network, sgld)
        network.train()
        seed_dropout(network, args.seed, epoch)
        bar = tqdm(
            batches(run, run.train, args, epoch), f"epoch {epoch + 1}/{plan.epochs}",
            plan.steps_per_epoch, leave=False, unit="step",
        )  # fmt: skip
        pairs = zip(bar, outlier_batches(args, run, epoch), strict=False)
        for i, (patches, unlike) in enumerate(pairs):
            step = epoch * plan.steps_per_epoch + i
            turn = None if sampling else turn_of(step, plan.burn_in_steps, plan.networks)
            if turn and turn.is_first and turn.number > 0:
                begin_again(args, run, network, adam, turn.number)
            losses.append(
                energy_gradient(args, run, network, patches, unlike, f"epoch {epoch + 1}")
            )
            collect, cycle = False, 0
            if sampling:
                # A remainder of steps that does not fill a cycle is not taken.
                if step - plan.burn_in_steps >= plan.cyclic.total_steps:
                    break
                phase = plan.cyclic.at(step - plan.burn_in_steps)
                if not phase.exploring:
                    phase = phase._replace(temperature=temperature)
                sgld.follow(phase)
                sgld.step()
                rate, noise = phase.lr, phase.temperature
                collect, cycle = phase.collect, phase.cycle
            else:
                # Only here: a clipped gradient is no longer that of the posterior.
                torch.nn.utils.clip_grad_norm_(parameters, GRADIENT_NORM)
                rate, noise = warm_up_cosine(turn.step, turn.steps, args.lr), 0.0
                for group in adam.param_groups:
                    group["lr"] = rate
                adam.step()
                if args.posterior == "released":
                    noise = float(released.step(rate, epoch))
                    collect = (step + 1) % (args.period * plan.steps_per_epoch) == 0
                    cycle = epoch // args.period
                elif args.posterior == "ensemble":
                    collect, cycle = turn.is_last, turn.number
            step_log.write(step, {"loss": losses[-1], "lr": rate, "noise": noise})
            if collect:
                collected += 1
                save_draw(args, run, network, collected, step, temperature, cycle)
            bar.set_postfix(loss=f"{losses[-1]:.4f}", lr=f"{rate:.1e}", refresh=False)

        scores = validate(network, run, args.val_stacks)
        log_epoch(log, epoch, began, losses, rate, noise if sampling else 0.0, scores)
        save_progress(
            run.folder / "latest.pth",
            parts,
            identity(args),
            epoch=epoch + 1,
            collected=collected,
            temperature=temperature,
        )
        if epoch + 1 == args.stop_after:
            break
    log.close()
    step_log.close()
    too_short = args.posterior == "released" and collected == 0 and not args.stop_after
    if too_short or args.posterior in ("point estimate", "mc_dropout"):
        steps = (args.stop_after or plan.epochs) * plan.steps_per_epoch
        collected = save_last(args, run, network, steps)
    write_summary(run.folder)
    print(f"step 1 done: {collected} member(s) in {run.folder}")


def energy_gradient(
    args: argparse.Namespace,
    run: Run,
    network: BayesDL,
    patches: Patches,
    outliers: Patches | None,
    where: str,
) -> float:
    """Leaves the gradient of the step-1 energy in the network; returns the energy.

    With outliers, that of `bayes.functional_prior`: both go through the network at once.
    """
    raw, target = to_device(patches, run.device)
    if outliers is not None:
        unlike, truth = to_device(outliers, run.device)
        raw = torch.cat([raw, unlike]).contiguous(memory_format=torch.channels_last)
    with autocast(run.device, run.dtype):
        mean = network(raw).mean
    weights = args.mae_lambda, args.fft_lambda, args.ssim_lambda
    energy = reconstruction_energy(mean[: len(target)], target, *weights).total
    if outliers is not None:
        wanted = prior_function(truth, args.outlier_gain)
        energy = energy + reconstruction_energy(mean[len(target) :], wanted, *weights).total
    value = require_finite(energy, where)
    network.zero_grad(set_to_none=True)
    energy.backward()
    return value


def save_draw(
    args: argparse.Namespace,
    run: Run,
    network: BayesDL,
    index: int,
    step: int,
    temperature: float | None = None,
    cycle: int = 0,
) -> None:
    """Stores the weights of this moment as a member, with its own score on validation fields."""
    sampler: dict[str, Any] = {"kind": args.posterior, "cycle": cycle}
    if args.posterior == "sgld":
        sampler |= {"temperature": temperature, "num_data": run.train.pixels}
        sampler |= {"prior_precision": args.prior_precision, "lr_max": args.lr_sgld}
    elif args.posterior in ("ensemble", "mc_dropout"):
        sampler["seed"] = args.seed + index - 1
    if run.outliers is not None:
        sampler["outlier_gain"] = args.outlier_gain
    scores = validate(network, run, args.val_stacks)
    network.train()
    training = {"sample": args.sample, "seed": args.seed, "step": step + 1}
    training |= {"epoch": step // run.train.steps(args.batch_size, args.patches_per_stack) + 1}
    training |= {name: scores[name] for name in ("psnr", "ssim")}
    path = member_path(run.folder, index)
    save_checkpoint(path, member_payload(network, sampler, training))
    tqdm.write(f"   member {index}: {path} ({scores['psnr']:.2f} dB on validation fields)")


def save_last(args: argparse.Namespace, run: Run, network: BayesDL, steps: int) -> int:
    """The last weights as the point estimate, or as many passes with dropout; returns how many."""
    passes = args.members if args.posterior == "mc_dropout" else 1
    for index in range(1, passes + 1):
        path = member_path(run.folder, index)
        if path.is_file() and load_checkpoint(path)["training"].get("step") == steps:
            continue  # written before the run was resumed; step 2 may have given it a tail
        if args.posterior == "mc_dropout":
            fix_dropout(network, args.seed + index - 1)
        save_draw(args, run, network, index, steps - 1)
    return passes


def settle_temperature(args: argparse.Namespace, run: Run, network: BayesDL, sgld: SGLD) -> float:
    """The temperature of the run; of several, the one with the best held-out log density.

    From the burnt-in weights each candidate samples a short chain; the validation stacks are
    scored under a Gaussian with the chain's mean, its variance and one residual variance.
    """
    if len(args.temperature) == 1:
        return args.temperature[0]
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    sampler_state = copy.deepcopy(sgld.state_dict())
    scores = {}
    for temperature in args.temperature:
        try:
            draws = trial_chain(args, run, network, sgld, temperature)
            scores[temperature] = held_out_density(run, network, draws, args.val_stacks)
        except Diverged:
            scores[temperature] = -math.inf
        print(f"   temperature {temperature:g}: {scores[temperature]:.4f} nats per held-out pixel")
        network.load_state_dict(weights)
        sgld.load_state_dict(copy.deepcopy(sampler_state))
    best = choose_temperature(scores)
    print(f"   temperature {best:g} taken")
    finite = {f"{t:g}": score for t, score in scores.items() if math.isfinite(score)}
    record = {"nats_per_pixel": finite, "taken": best}
    write_json(run.folder / "temperature.json", record)
    return best


def trial_chain(
    args: argparse.Namespace, run: Run, network: BayesDL, sgld: SGLD, temperature: float
) -> list[dict[str, Tensor]]:
    """Four draws of one short cycle."""
    cyclic = CyclicSchedule(
        cycles=1,
        steps_per_cycle=max(args.trial_steps, 8),
        lr_max=args.lr_sgld,
        explore_fraction=0.25,
        members_per_cycle=4,
        temperature=temperature,
    )
    draws = []
    steps = range(cyclic.total_steps)
    streams = endless(args, run, run.train), outlier_batches(args, run, 10**6)
    for step, patches, unlike in zip(steps, *streams, strict=False):
        phase = cyclic.at(step)
        where = f"the trial at temperature {temperature:g}"
        energy_gradient(args, run, network, patches, unlike, where)
        sgld.follow(phase)
        sgld.step()
        if phase.collect:
            draws.append({k: v.clone() for k, v in network.state_dict().items()})
    return draws


@torch.no_grad()
def held_out_density(
    run: Run, network: BayesDL, draws: list[dict[str, Tensor]], stacks: int
) -> float:
    """Mean log density of validation pixels, with the residual variance that suits them best."""
    errors, spreads = [], []
    for index in spread_out(len(run.validation), stacks):
        stack, means = run.validation.stack(index), Welford()
        for draw in draws:
            network.load_state_dict(draw)
            with autocast(run.device, run.dtype):
                means.add(network(stack.raw[None].to(run.device)).mean)
        errors.append((stack.target - means.mean.cpu()[0]).flatten())
        spreads.append(means.variance.cpu()[0].flatten())
    return held_out_log_density(torch.cat(errors), torch.cat(spreads))


def resume_step_1(
    args: argparse.Namespace, run: Run, parts: dict[str, Any]
) -> tuple[int, int, float | None]:
    """First epoch, members so far and temperature: of a new run, or of the interrupted one."""
    path = run.folder / "latest.pth"
    if not args.resume:
        refuse_used_folder(run.folder)
    elif path.is_file():
        progress = load_progress(path, parts, identity(args))
        print(f"   resuming after epoch {progress['epoch']}")
        return progress["epoch"], progress["collected"], progress["temperature"]
    return 0, 0, None


def identity(args: argparse.Namespace) -> dict[str, Any]:
    """The options that decide the result."""
    names = (
        "train_type sample batch_size patch_size patches_per_stack backbone n_feat levels nBlocks "
        "sgld sampler epoch lr burn_in cycles members_per_cycle lr_sgld explore temperature "
        "trial_steps prior_precision mae_lambda fft_lambda ssim_lambda likelihood seed "
        "nGroups first_guess posterior members period input_frames SISR_or_SIM drop drop2d "
        "outlier_gain outlier_batch_size"
    )
    return {name: getattr(args, name) for name in names.split()}


# ---------------------------------------------------------------------------------------------
# Step 2: uncertainty tail
# ---------------------------------------------------------------------------------------------


def fit_uncertainty_tail(args: argparse.Namespace, run: Run) -> None:
    """Step 2: one tail per member by negative log-likelihood; the trunk does not move."""
    paths = step_1_members(args, run.folder)
    nll = find_likelihood(args.likelihood).nll
    latest = run.folder / "latest_tail.pth"
    elsewhere = paths[0].parent.resolve() != run.folder.resolve()
    if elsewhere and not args.resume:
        refuse_used_folder(run.folder)
    saved = {}
    if args.resume and latest.is_file():
        saved = load_progress(latest, {}, identity(args))
    done = saved.get("done", [])
    write_config(run, "step 2", args, {"members": len(paths)})
    log = EpochLog(run.folder, "step2", len(done) * args.epoch + saved.get("epoch", 0))
    fit_on, ratio = choose_part(args, run, load_member(paths[0]).network)
    for index, path in enumerate(paths):
        if path.name in done:
            continue
        member = load_member(path)
        network = with_tail(member, args.likelihood, args.seed + index)
        network = network.to(run.device, memory_format=torch.channels_last)
        network.trunk.requires_grad_(False).eval()
        adam = torch.optim.Adam(network.tail.parameters(), lr=args.lr)
        steps = fit_on.steps(args.batch_size, args.patches_per_stack)
        cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, args.epoch * steps, args.lr / 50)
        parts = {"tail": network.tail, "adam": adam, "cosine": cosine}
        start = 0
        if saved.get("member") == path.name:
            start = load_progress(latest, parts, identity(args))["epoch"]
        for epoch in range(start, args.epoch):
            began, losses = time.time(), []
            bar = tqdm(
                batches(run, fit_on, args, epoch),
                f"tail {index + 1}/{len(paths)}, epoch {epoch + 1}/{args.epoch}",
                steps, leave=False, unit="step",
            )  # fmt: skip
            for patches in bar:
                raw, target = to_device(patches, run.device)
                with autocast(run.device, run.dtype):
                    mean, log_var = network(raw)
                loss = nll(mean.detach(), log_var, target)
                losses.append(require_finite(loss, f"epoch {epoch + 1} of {path.name}"))
                adam.zero_grad(set_to_none=True)
                loss.backward()
                adam.step()
                cosine.step()
                bar.set_postfix(nll=f"{losses[-1]:.3f}", refresh=False)
            scores = validate_tail(args, network, run)
            log.image(index * args.epoch + epoch, "aleatoric", scores.pop("picture"))
            scores = {"member": index + 1, "nll": float(np.mean(losses)), **scores}
            log.write(index * args.epoch + epoch, {**scores, "seconds": time.time() - began})
            if epoch + 1 < args.epoch:
                progress = {"member": path.name, "epoch": epoch + 1, "done": done}
                save_progress(latest, parts, identity(args), **progress)
        training = {**member.training, "tail_epochs": args.epoch, "tail_part": fit_on.part}
        payload = member_payload(network, member.sampler, training)
        save_checkpoint(member_path(run.folder, index + 1) if elsewhere else path, payload)
        done = [*done, path.name]
        save_progress(latest, {}, identity(args), done=done)
        print(
            f"   {path.name}: tail fitted on {fit_on.part} cells (residual variance unseen/seen "
            f"{ratio.value:.2f} +- {ratio.error:.2f}), nll {np.mean(losses):.3f}"
        )
    log.close()
    write_summary(run.folder)
    print(f"step 2 done: {len(paths)} member(s) with tails in {run.folder}")


def step_1_members(args: argparse.Namespace, folder: Path) -> list[Path]:
    """The members of step 1, here or in `--pretrained_G`; or the command that makes them."""
    if args.pretrained_G is not None:
        return trained_elsewhere(args.pretrained_G)
    require_folder(folder, "run folder")
    try:
        return list_members(folder)
    except InputError:
        raise InputError(
            f"step 2 needs the members of step 1, and {folder} holds none: run step 1 first, "
            f"python train.py --model BayesDL --train_type '' --likehood '' --SGLD True "
            f"--sample {args.sample} --exp_name {args.exp_name} (with your --root_dir)"
        ) from None


def trained_elsewhere(path: Path) -> list[Path]:
    """A member, or those of a folder; not the released ones, whose frames were scaled otherwise."""
    paths = [path] if path.is_file() else list_released(path) or list_members(path)
    if is_released(paths[0]):
        raise InputError(
            f"{paths[0]} takes frames scaled by their smallest and largest count, but a data set "
            "here is scaled by percentiles: start step 1 from it (--init_from), then step 2"
        )
    return paths


@torch.no_grad()
def choose_part(
    args: argparse.Namespace, run: Run, network: BayesDL, steps: int = 60
) -> tuple[SimDataset, Ratio]:
    """Unseen cells, if their residual variance differs by more than a tenth; else training cells.

    By more than the chance of the patches explains (two standard errors), since one patch in ten
    makes most of a mean square. Asked of the first member, for all: the members of a run have
    learnt from the same cells.

    A tail fitted where the trunk has learnt the noise by heart would promise too much elsewhere.
    """
    network, residuals = network.to(run.device), []
    for part in (run.train, run.validation):
        squares: list[float] = []
        for patches in itertools.islice(endless(args, run, part), steps):
            raw, target = to_device(patches, run.device)
            with autocast(run.device, run.dtype):
                mean = network(raw).mean
            squares += (mean - target).square().mean(dim=(1, 2, 3)).tolist()
        residuals.append(squares)
    ratio = ratio_of_means(*reversed(residuals))
    differs = abs(ratio.value - 1) - 2 * ratio.error > RESIDUAL_TOLERANCE
    return (run.validation if differs else run.train), ratio


# ---------------------------------------------------------------------------------------------
# Validation
# ---------------------------------------------------------------------------------------------


def spread_out(count: int, wanted: int) -> list[int]:
    """At most `wanted` indices, evenly over 0 .. count - 1."""
    return np.unique(np.linspace(0, count - 1, min(count, wanted)).round().astype(int)).tolist()


@torch.no_grad()
def validate(network: BayesDL, run: Run, stacks: int) -> dict[str, Any]:
    """PSNR and SSIM over whole validation fields, and the first of them as a picture."""
    network.eval()
    psnr, ssim, picture = [], [], None
    for index in spread_out(len(run.validation), stacks):
        stack = run.validation.stack(index)
        with autocast(run.device, run.dtype):
            mean = network(stack.raw[None].to(run.device)).mean
        image = mean[0, 0].float().cpu().numpy()
        picture = image if picture is None else picture
        score = quality(image, stack.target[0].numpy())
        psnr.append(score.psnr)
        ssim.append(score.ssim)
    return {"psnr": float(np.mean(psnr)), "ssim": float(np.mean(ssim)), "picture": picture}


@torch.no_grad()
def validate_tail(args: argparse.Namespace, network: BayesDL, run: Run) -> dict[str, Any]:
    """Negative log-likelihood of whole validation fields, and the first deviation as a picture."""
    nll, values, picture = find_likelihood(args.likelihood).nll, [], None
    for index in spread_out(len(run.validation), args.val_stacks):
        stack = run.validation.stack(index)
        with autocast(run.device, run.dtype):
            mean, parameters = network(stack.raw[None].to(run.device))
        values.append(nll(mean, parameters, stack.target[None].to(run.device)).item())
        if picture is None:
            # A Student-t of few degrees of freedom has no deviation, which no picture can show.
            picture = standard_deviation(args.likelihood, parameters)[0, 0].clamp(max=1)
    return {"validation_nll": float(np.mean(values)), "picture": picture}


def log_epoch(
    log: EpochLog,
    epoch: int,
    began: float,
    losses: list[float],
    rate: float,
    noise: float,
    scores: dict[str, Any],
) -> None:
    """One line in the terminal, one in the CSV, curves and a picture in TensorBoard."""
    seconds = time.time() - began
    values = {
        "loss": float(np.mean(losses)),
        "psnr": scores["psnr"],
        "ssim": scores["ssim"],
        "lr": rate,
        "temperature": noise,
        "seconds": seconds,
    }
    log.write(epoch, values)
    log.image(epoch, "validation", scores["picture"])
    tqdm.write(
        f"epoch {epoch + 1}: loss {values['loss']:.4f}, validation {values['psnr']:.2f} dB / "
        f"{values['ssim']:.3f}, {seconds:.0f} s per epoch"
    )


def main(argv: list[str] | None = None) -> None:
    """Step 1 or step 2."""
    args = parse_args(argv)
    run = open_run(args)
    if args.train_type == "uncertainty_tail":
        fit_uncertainty_tail(args, run)
    else:
        fit_reconstruction(args, run)


if __name__ == "__main__":
    run_script(main)
