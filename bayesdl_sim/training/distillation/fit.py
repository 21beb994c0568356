"""A student is fitted to the posterior predictive of its teacher."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from bayesdl_sim.bayes.distillation import distillation_loss
from bayesdl_sim.bayes.schedule import warm_up_cosine
from bayesdl_sim.metrics.images import quality
from bayesdl_sim.models.bayesdl import DISTILLED, BayesDL, member_payload
from bayesdl_sim.models.fields.poses import note_poses
from bayesdl_sim.models.members import MemberFacts, OpenMember, open_member, open_members
from bayesdl_sim.training.distillation.settings import DistilSettings
from bayesdl_sim.training.distillation.start import as_student
from bayesdl_sim.training.distillation.teacher import Lesson, Lessons, teach
from bayesdl_sim.training.objective import require_finite
from bayesdl_sim.utils.checkpoints import member_path, save_checkpoint
from bayesdl_sim.utils.console.progress import counted
from bayesdl_sim.utils.devices import autocast, choose_device, choose_precision, exact_arithmetic
from bayesdl_sim.utils.errors import InputError, writable_folder
from bayesdl_sim.utils.files import sha256
from bayesdl_sim.utils.resume import load_progress, save_progress
from bayesdl_sim.utils.run_log import EpochLog

__all__ = ["StudentScores", "distil"]

GRADIENT_NORM = 1.0
POSES_OF_STUDENT = 2  # that it is shown of each field; its outputs are averaged
EVERY = 100  # steps from one state on disk, and line of the log, to the next


class StudentScores(NamedTuple):
    """Means over held-out patches.

    Attributes:
        psnr, teacher_psnr: against the truth, dB.
        epistemic_rank: rank correlation of the epistemic uncertainty of all pixels together.
    """

    psnr: float
    teacher_psnr: float
    epistemic_rank: float


@exact_arithmetic()
def distil(settings: DistilSettings) -> StudentScores:
    """Fits a student and writes it; an interrupted run continues where it was.

    Raises:
        InputError: members, data or folders that cannot be used, or a training that diverges.
    """
    device = choose_device(settings.device, settings.gpu_id)
    dtype = choose_precision(settings.precision, device)
    members = open_members(settings.pretrained_G, device, dtype)
    if len(members) < 2:
        raise InputError(f"{settings.pretrained_G} holds one member: a posterior has several")
    writable_folder(settings.save_path)
    network = _start(settings, members)  # what cannot be started from is refused before the work
    lessons = teach(settings, members)
    network = network.to(device, memory_format=torch.channels_last).train()
    start = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    _fit(settings, network, lessons, device, dtype)
    _blend(network, start, settings.blend)
    scores = score(network.eval(), lessons, device, dtype)
    _save(settings, network, [member.facts for member in members], lessons.count, scores)
    print(
        f"student: {scores.psnr:.2f} dB on {lessons.held_out} held-out patches, its teacher "
        f"{scores.teacher_psnr:.2f} dB; rank correlation of epistemic {scores.epistemic_rank:.3f}"
    )
    return scores


def _start(settings: DistilSettings, members: list[OpenMember]) -> BayesDL:
    """The network that the fit begins with: an earlier student, or the mean of members."""
    if settings.init_from is None:
        return as_student([open_member(path) for path in _starts(settings, members)])
    path = member_path(settings.init_from, 1)
    network = open_member(path).network
    if network.config["likelihood"] != DISTILLED:
        raise InputError(f"init_from: {path} is not a student; leave it out, or name a student")
    return network.requires_grad_(True)


def _starts(settings: DistilSettings, members: list[OpenMember]) -> list[Path]:
    """Files of the members that the student starts from."""
    unknown = [number for number in settings.start_from if not 1 <= number <= len(members)]
    if unknown:
        raise InputError(
            f"start_from: expected members from 1 to {len(members)}, found {unknown[0]}"
        )
    return [members[number - 1].facts.path for number in settings.start_from]


def _fit(
    settings: DistilSettings,
    network: BayesDL,
    lessons: Lessons,
    device: torch.device,
    dtype: torch.dtype,
) -> None:
    adam = torch.optim.Adam(network.parameters(), lr=settings.lr)
    parts, identity = {"network": network, "adam": adam}, _identity(settings)
    latest = settings.work / "latest.pth"
    first = load_progress(latest, parts, identity)["step"] if latest.is_file() else 0
    log, values = EpochLog(settings.work, "student", first, tensorboard=False, count="step"), []
    began = time.time()
    steps = range(first, settings.steps)
    for step in counted(steps, "student", settings.steps, unit="step", done=first):
        lesson = lessons.batch(step, settings.seed, settings.batch_size)
        lr = warm_up_cosine(step, settings.steps, settings.lr)
        values.append(_descend(network, adam, lr, lesson, device, dtype))
        if (step + 1) % EVERY == 0 or step + 1 == settings.steps:
            names = ("loss", "mean", "aleatoric", "epistemic")
            row = dict(zip(names, np.mean(values, axis=0).tolist(), strict=True))
            log.write(step, row | {"lr": lr, "seconds": time.time() - began})
            save_progress(latest, parts, identity, step=step + 1)
            values, began = [], time.time()
    log.close()


def _blend(network: BayesDL, start: dict[str, Tensor], share: float) -> None:
    """`(1 - share) start + share fitted`, weight by weight.

    Source: Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
    """
    fitted = network.state_dict()
    network.load_state_dict({n: torch.lerp(start[n], fitted[n], share) for n in fitted})


def _descend(
    network: BayesDL,
    adam: torch.optim.Adam,
    lr: float,
    lesson: Lesson,
    device: torch.device,
    dtype: torch.dtype,
) -> list[float]:
    """One step of Adam; returns the loss and its terms."""
    raw, mean, parameters, _ = (image.to(device) for image in lesson)
    with autocast(device, dtype):
        output = network(raw.contiguous(memory_format=torch.channels_last))
    terms = distillation_loss(output.mean.float(), output.log_var, mean, parameters)
    require_finite(terms.total, "the student")
    adam.zero_grad(set_to_none=True)
    terms.total.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)
    for group in adam.param_groups:
        group["lr"] = lr
    adam.step()
    return [term.item() for term in terms]


@torch.no_grad()
def score(
    network: BayesDL, lessons: Lessons, device: torch.device, dtype: torch.dtype
) -> StudentScores:
    """Scores student and teacher on the held-out patches."""
    psnr: list[tuple[float, float]] = []
    epistemic: list[tuple[Tensor, Tensor]] = []
    for number in range(lessons.held_out):
        lesson = lessons.lesson(np.array([number]))
        with autocast(device, dtype):
            mean, parameters = network(lesson.raw.to(device))
        truth = lesson.target[0, 0].numpy()
        images = mean.float().cpu()[0, 0].numpy(), lesson.mean[0, 0].numpy()
        psnr.append(tuple(quality(image, truth).psnr for image in images))
        epistemic.append((parameters[0, 1].cpu().ravel(), lesson.parameters[0, 1].ravel()))
    student, teacher = (torch.cat(column).numpy() for column in zip(*epistemic, strict=True))
    return StudentScores(*np.mean(psnr, axis=0).tolist(), rank_correlation(student, teacher))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two sets of numbers."""
    from scipy.stats import spearmanr  # slow to load

    return float(spearmanr(a, b).statistic)


def _identity(settings: DistilSettings) -> dict[str, Any]:
    """What a resumed run must share; the lessons are compared separately."""
    names = ("start_from", "steps", "batch_size", "lr", "seed", "patch_size", "held_out")
    values = {name: getattr(settings, name) for name in names}
    earlier = settings.init_from and sha256(member_path(settings.init_from, 1))
    return {"student": values | {"start_from": list(settings.start_from), "init_from": earlier}}


def _save(
    settings: DistilSettings,
    network: BayesDL,
    members: list[MemberFacts],
    patches: int,
    scores: StudentScores,
) -> None:
    sampler = {"kind": "student", "of": {member.path.name: member.sha256 for member in members}}
    training = {
        "sample": settings.sample,
        "seed": settings.seed,
        "step": settings.steps,
        "patches": patches,
        "started_from": list(settings.start_from),
        "fitted_further": settings.init_from is not None,
        "blend": settings.blend,
        **scores._asdict(),
    }
    note_poses(settings.save_path, True, POSES_OF_STUDENT)  # lessons are turned
    save_checkpoint(member_path(settings.save_path, 1), member_payload(network, sampler, training))
