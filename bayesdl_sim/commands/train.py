"""Command line of the training: options into the settings of step 1 or step 2, then the step."""

import argparse
import sys
from pathlib import Path
from typing import Any

from bayesdl_sim.commands.train_settings import settings_of
from bayesdl_sim.training.settings.checks import choices_of
from bayesdl_sim.training.settings.shared import InputSettings, NumericsSettings
from bayesdl_sim.training.settings.step1 import NetworkSettings, SamplerSettings, Step1Settings
from bayesdl_sim.training.settings.step2 import Step2Settings, TailSettings
from bayesdl_sim.utils.console.options import CommandLine
from bayesdl_sim.utils.errors import run_script, strict_bool
from bayesdl_sim.utils.released import RELEASED_OPTIONS, accept_without_effect, first_gpu

__all__ = ["main", "parse_args"]


def parse_args(argv: list[str] | None = None) -> Step1Settings | Step2Settings:
    """The command line, with the names of the original scripts where they exist, as settings."""
    parser = CommandLine(
        description="Trains BayesDL-SIM: step 1 (SGLD) or step 2 (--train_type uncertainty_tail).",
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,  # the defaults stand in the settings
    )
    _add_data(parser.add_argument_group("data"))
    _add_network(parser.add_argument_group("network"))
    step_1 = parser.add_argument_group("step 1: reconstruction")
    _add_posterior(step_1)
    _add_energy(step_1)
    _add_step_2(parser.add_argument_group("step 2: uncertainty tail"))
    _add_run(parser.add_argument_group("run"))
    accept_without_effect(parser, RELEASED_OPTIONS)
    return settings_of(vars(parser.parse_args(argv)))


def _add_data(group: Any) -> None:
    add = group.add_argument
    add("--sample", help="structure (F-actin); names the results folder")
    add("--root_dir", type=Path, help="data set, or the folder that holds it under that name")
    add("--input_frames", help="show the network the wide field and these frames only, as 1,2,3")
    add(
        "--SISR_or_SIM",
        choices=choices_of(InputSettings, "SISR_or_SIM"),
        help="SISR: show it the wide field alone",
    )
    add("--sr_scale", type=int, default=2, help="2, the only one")
    add("--batch_size", type=int, help="patches per step (8)")
    add("--patch_size", type=int, help="raw pixels (64)")
    add("--patches_per_stack", type=int, help="crops per stack and epoch (4)")
    add("--val_stacks", type=int, help="stacks of each validation (16)")
    add("--train_cells", type=int, help="learn from so many cells only, the first ones (all)")
    add(
        "--tell_optics",
        type=strict_bool,
        help="tell the first guess the optics of half of the stacks, of some wrongly (False)",
    )
    add(
        "--outlier_dir",
        type=Path,
        help="data set of stacks unlike these (from_simulation --sample outliers), on which chains "
        "of opposite --outlier_gain are made to differ (step 1)",
    )


def _add_network(group: Any) -> None:
    add = group.add_argument
    add("--model", choices=["BayesDL", "DFCAN"], default="BayesDL", help="BayesDL, or bare DFCAN")
    add("--backbone", choices=choices_of(NetworkSettings, "backbone"), help="generator (unet)")
    add("--n_feat", type=int, help="features at full resolution (U-Net 32, others 64)")
    add("--levels", type=int, help="resolutions of the U-Net (3)")
    add("--nGroups", type=int, help="groups of the RCAN (5) or DFCAN (4)")
    add("--nBlocks", type=int, help="blocks per level (U-Net 2) or group (RCAN 10, DFCAN 4)")
    add(
        "--first_guess",
        type=strict_bool,
        help="show the network a Wiener reconstruction beside the frames (True for the U-Net, or "
        "as the member of --init_from)",
    )
    add("--drop", type=float, help="dropout of elements within the network (0)")
    add("--drop2d", type=float, help="dropout of channels before the last convolution (0)")
    add("--init_from", type=Path, help="member (file, or a folder's first) to start step 1 from")
    add(
        "--pretrained_G",
        type=Path,
        help="step 1: as --init_from; step 2: take the members of step 1 from this folder",
    )


def _add_posterior(group: Any) -> None:
    add = group.add_argument
    add(
        "--train_type",
        choices=["", "uncertainty_tail"],
        default="",
        help="uncertainty_tail: step 2",
    )
    add(
        "--SGLD",
        "--sgld",
        dest="sgld",
        type=strict_bool,
        help="True: sample members (the default); False: step 1 gives one point estimate",
    )
    ways = [way for way in choices_of(SamplerSettings, "posterior") if way != "point estimate"]
    add(
        "--posterior",
        choices=ways,
        help="way to the members (sgld). ensemble: networks from different seeds, one after the "
        "other, each with an equal share of the steps of --epoch; mc_dropout: passes of one "
        "network with dropout; released: Adam and the noise of the released code",
    )
    add("--sampler", choices=["sgld", "released"], help="older name of --posterior")
    add(
        "--members",
        type=int,
        help="networks or passes of an ensemble or of MC-dropout (as many as SGLD: cycles x "
        "members_per_cycle)",
    )
    add("--epoch", type=int, help="epochs (60; step 2 per member: 20)")
    add("--lr", type=float, help="Adam's step size (6e-4; step 2: 2e-3)")
    add("--burn_in", type=float, help="share of the epochs with Adam (0.6)")
    add("--cycles", type=int, help="restarts of the sampler (4)")
    add("--members_per_cycle", type=int, help="members of each cycle (2)")
    add(
        "--period",
        type=int,
        help="epochs from member to member of --posterior released (50), two fifths with noise",
    )
    add("--lr_sgld", type=float, help="largest step size h of SGLD (1e-4)")
    add("--explore", type=float, help="share of a cycle without noise (0.5)")
    add(
        "--temperature",
        type=float,
        nargs="+",
        help="temperature of the Gibbs posterior (1); of several the best by held-out likelihood",
    )
    add("--trial_steps", type=int, help="steps of each temperature's trial (200)")
    add("--prior_precision", type=float, help="precision of the prior of every weight (1)")


def _add_energy(group: Any) -> None:
    add = group.add_argument
    add(
        "--outlier_gain",
        type=float,
        help="gain of this chain's prior function: outliers are to come out brighter by this share "
        "(0.15), or darker where it is negative",
    )
    add("--outlier_batch_size", type=int, help="outliers per step (3)")
    add("--mae_lambda", type=float, help="weight of the absolute error (1)")
    add("--fft_lambda", type=float, help="weight of the Fourier error (0.01)")
    add("--ssim_lambda", type=float, help="weight of the structural dissimilarity (0.1)")


def _add_step_2(group: Any) -> None:
    group.add_argument(
        "--likehood",
        "--likelihood",
        dest="likelihood",
        default="",
        choices=["", *choices_of(TailSettings, "likelihood")],
        help="likelihood whose parameters the tail gives; '' in step 1",
    )


def _add_run(group: Any) -> None:
    add = group.add_argument
    add("--save_model_dir", type=Path, default=Path("checkpoint"), help="folder of all runs")
    add("--exp_name", default="BayesDL", help="name of this run")
    add("--cache_dir", type=Path, help="folder for copies of data sets (.cache in each set)")
    add("--device", help="auto, cpu, cuda or cuda:n")
    add("--gpu_id", type=first_gpu, help="number of the GPU")
    add(
        "--precision",
        choices=choices_of(NumericsSettings, "precision"),
        help="arithmetic of the networks (auto: by the processor)",
    )
    add("--seed", type=int, help="seed of weights, patches and noise (42)")
    add(
        "--chains",
        type=int,
        help="run so many chains side by side, one process each, with seeds from --seed on, and "
        "collect their members in turns (1)",
    )
    add("--stop_after", type=int, help="end step 1 after this epoch, before its last")
    add("--resume", action="store_true", help="go on after an interruption")


def main(argv: list[str] | None = None) -> None:
    """Runs step 1 or step 2, in a run folder that is locked for this process."""
    words = sys.argv[1:] if argv is None else argv
    settings = parse_args(words)
    # Loaded here, so that --help and mistakes in the command line do not wait for PyTorch.
    if settings.run.chains > 1:
        from bayesdl_sim.training.parallel.chains import run_chains

        run_chains(words, settings)
        return
    from bayesdl_sim.training.parallel.replicas import replicated

    if isinstance(settings, Step2Settings):
        from bayesdl_sim.training.step2 import fit_uncertainty_tail as fit
    else:
        from bayesdl_sim.training.step1 import fit_reconstruction as fit
    with replicated(settings) as replica_settings:
        fit(replica_settings)


if __name__ == "__main__":
    run_script(main)
