"""The one object behind the command line, notebooks and plugins: a posterior, opened once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from bayesdl_sim.bayes.calibration.recalibration import Calibration
from bayesdl_sim.bayes.prediction import Prediction
from bayesdl_sim.data.inputs import InputSpec, input_spec
from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.beside_spots import undimmed
from bayesdl_sim.inference.facts import (
    calibration_of,
    member_words,
    posterior_facts,
    run_facts,
    student_notes,
    warnings_of,
)
from bayesdl_sim.inference.judging.gate import Gate, Verdict, read_gate
from bayesdl_sim.inference.judging.verdict import judge_frames, judge_result
from bayesdl_sim.inference.making import reconstruct
from bayesdl_sim.inference.maps import require_maps
from bayesdl_sim.inference.prepared.arrays import require_stack, stacks_of
from bayesdl_sim.inference.prepared.stack import PreparedStack
from bayesdl_sim.inference.reconstruction import Reconstruction
from bayesdl_sim.inference.series import CONVENTIONS
from bayesdl_sim.inference.settings import DEFAULT_MAPS, MapSettings
from bayesdl_sim.models.bayesdl import DISTILLED
from bayesdl_sim.models.members import TILE, MemberFacts, hashes_of, open_members
from bayesdl_sim.models.shipped import shipped_folder, student_folder
from bayesdl_sim.physics.optics import Optics, stated_optics
from bayesdl_sim.physics.patterns.frames.fringe_search import FringeSearch
from bayesdl_sim.utils.console.progress import Report, unreported
from bayesdl_sim.utils.devices import choose_device, choose_precision
from bayesdl_sim.utils.errors import InputError

__all__ = ["Posterior"]

NO_GATE = "gate: no gate.json of these very members: faults are noticed, but nothing is accepted"
SMALLEST_TILE = 32  # raw pixels; the halo around a smaller one would be most of the work


@dataclass(frozen=True, kw_only=True)
class Posterior:
    """The members of one folder, their calibration and their gate, ready for stacks.

    Attributes:
        folder: folder of the members.
        members: what each is, with its SHA-256.
        functions: the members as functions of network inputs, see `models.members`.
        inputs: what the networks are shown of a stack.
        device, tile: device, and side of a tile in raw pixels.
        convention: a key of `series.CONVENTIONS`.
        calibration: what the deviations are multiplied by; of these members, or nothing at all.
        gate: scores of validation cells with these members; None where there are none.
        facts: the entries of prediction.json about all of it.
        notes: lines that are shown to the user once.
    """

    folder: Path
    members: list[MemberFacts]
    functions: list[Callable]
    inputs: InputSpec
    device: torch.device
    tile: int
    convention: str
    calibration: Calibration
    gate: Gate | None
    facts: dict[str, Any]
    notes: list[str]

    @classmethod
    def shipped(cls, **options: Any) -> Posterior:
        """The posterior that comes with this software; the options are those of `load`."""
        return cls.load(shipped_folder(), **options)

    @classmethod
    def load(
        cls,
        folder: str | Path,
        device: str | torch.device = "auto",
        members: int | None = None,
        *,
        fast: bool = False,
        precision: str = "auto",
        tile: int = TILE,
        convention: str = "total_variance",
        calibration: str | Path | None = None,
    ) -> Posterior:
        """Opens a folder of members.

        Args:
            folder: folder with member_01.pth ..., or SGLD_gauss_#1.pth ... of the released code.
            device: auto, cpu, cuda or cuda:n.
            members: the first so many only; None: all.
            fast: the student of these members instead, one network for all of them.
            precision: auto, fp32 or bf16.
            tile: raw pixels; larger fields are computed in pieces, with the same result.
            convention: total_variance, or released for the arithmetic of the released code.
            calibration: its file, or "none"; None: calibration.json beside the members.

        Raises:
            InputError: no members, members that do not belong together or cannot be used, or an
                option that makes no sense.
        """
        if convention not in CONVENTIONS:
            raise InputError(f"convention: expected {' or '.join(CONVENTIONS)}, not {convention!r}")
        if fast and members is not None:
            raise InputError("members: the student of fast is one network; leave one of them out")
        if fast and convention == "released":
            raise InputError("convention released needs members: leave fast out")
        folder = student_folder(folder) if fast else Path(folder)
        if tile < SMALLEST_TILE:
            raise InputError(f"tile: expected {SMALLEST_TILE} raw pixels or more, found {tile}")
        if not isinstance(device, torch.device) or device.type == "cuda":
            device = choose_device(str(device))
        exact = convention == "released" and precision == "auto"
        dtype = choose_precision("fp32" if exact else precision, device)
        opened = open_members(folder, device, dtype, tile, members)
        described = [member.facts for member in opened]
        stored_calibration, words = calibration_of(folder, calibration, convention, described)
        gate = read_gate(folder, hashes_of(described))
        applied = stored_calibration or Calibration()
        arithmetic = "bf16" if dtype == torch.bfloat16 else "fp32"
        notes = [
            f"posterior: {member_words(described)} of {folder}; {device}, {arithmetic}",
            *warnings_of(described, convention),
            *(student_notes(described) if fast else []),
            words,
            *([] if gate else [NO_GATE]),
        ]
        run = run_facts(device, arithmetic, tile if described[0].is_local else None)
        facts = posterior_facts(folder, described, applied, stored_calibration is not None)
        return cls(
            folder=folder,
            members=described,
            functions=[member.function for member in opened],
            inputs=input_spec(described[0].network, described[0].path),
            device=device,
            tile=tile,
            convention=convention,
            calibration=applied,
            gate=gate,
            facts=facts | {"run": run, "convention": convention},
            notes=notes,
        )

    @property
    def has_tail(self) -> bool:
        """Whether the members predict an aleatoric uncertainty."""
        return bool(self.members[0].network["likelihood"])

    @property
    def is_student(self) -> bool:
        """Whether it is one network that gives both uncertainties, see `bayes.distillation`."""
        return self.likelihood == DISTILLED

    @property
    def has_epistemic(self) -> bool:
        """Whether an epistemic uncertainty is known: of several members, or of a student."""
        return len(self.members) > 1 or self.is_student

    @property
    def states_total(self) -> bool:
        """Whether the total uncertainty is known.

        It is that of several members with tails, or of a student. A single member shows no spread;
        its tail stands for the total where a calibration of this very member has made it so.
        """
        return self.has_tail and (self.has_epistemic or bool(self.calibration.fitted_on))

    @property
    def likelihood(self) -> str:
        """What the tails' maps parametrise."""
        return self.members[0].network["likelihood"] or "gauss"

    @property
    def is_local(self) -> bool:
        """Whether a large field may be computed in tiles with the same result."""
        return self.members[0].is_local

    @property
    def hashes(self) -> dict[str, str]:
        """File name -> SHA-256 (and poses) of the members in use."""
        return hashes_of(self.members)

    @property
    def min_max(self) -> bool:
        """Whether the networks get frames scaled by their smallest and largest count."""
        return self.convention == "released" or self.members[0].with_min_max

    def reconstruct(
        self,
        stack: RawStack | PreparedStack,
        maps: Sequence[str] = DEFAULT_MAPS,
        progress: Report | None = None,
        *,
        settings: MapSettings | None = None,
    ) -> Reconstruction:
        """Reconstructs and judges one stack.

        Args:
            stack: stack of T time points, see `data.stacks.read_stack`.
            maps: names of `result_files.MAPS` to hold and to save; SR always is. What the members
                do not predict is left out.
            progress: called with (done, total, what) as the work goes on.
            settings: the numbers that maps depend on.

        Raises:
            InputError: a map that this stack or these members cannot have, or a stack that cannot
                be one.
        """
        prepared = self.prepare(stack)
        self.require_maps(maps)
        return reconstruct(self, prepared, maps, settings or MapSettings(), progress or unreported)

    def judge(
        self, stack: RawStack | PreparedStack, result: Reconstruction | None = None
    ) -> Verdict:
        """How far to trust a stack, and the result that was made from it.

        Args:
            result: result of `reconstruct`; without it, only the raw frames are judged, which
                takes a fraction of the time of a reconstruction.
        """
        if result is not None and result.verdict is not None:
            return result.verdict
        prepared = self.prepare(stack)
        if result is None:
            return judge_frames(prepared)
        return judge_result(prepared, result, self.gate)

    def predict(
        self, raw: Tensor, calibrated: bool = True, optics: Optics | None = None
    ) -> Prediction:
        """The posterior predictive of a batch of stacks, for callers with batches of their own.

        Each stack has its own intensity scale, `data.normalise.normalisation_of`; the maps are
        (B, 1, 2H, 2W) in that normalised intensity, in float32, on the CPU.

        Args:
            raw: counts (B, 9, H, W).
            calibrated: multiply the deviations by the calibration.
            optics: optics of all of them, as far as they are known.
        """
        predictor, predictions = CONVENTIONS[self.convention], []
        # One by one: a batch does not fit into a core's cache, and takes a fifth longer there.
        for prepared in self._batch(raw, optics):
            shown = prepared.network_input(0, self.inputs)
            maps = predictor(self.functions, shown, self.likelihood)
            maps = self.calibration.apply(maps, prepared.signal_e(0)) if calibrated else maps
            predictions.append(undimmed(prepared, 0, maps))
        return Prediction(*(torch.cat(c).float().cpu() for c in zip(*predictions, strict=True)))

    def shown(self, raw: Tensor, optics: Optics | None = None) -> Tensor:
        """The network input of stacks of counts: (B, 9, H, W) -> (B, F, H, W)."""
        return torch.cat([one.network_input(0, self.inputs) for one in self._batch(raw, optics)])

    def _batch(self, raw: Tensor, optics: Optics | None) -> Iterator[PreparedStack]:
        for stack in stacks_of(raw):
            yield PreparedStack(stack, self.min_max, optics, device=self.device)

    def prepare(
        self,
        stack: RawStack | PreparedStack,
        optics: Optics | None = None,
        search: FringeSearch | None = None,
    ) -> PreparedStack:
        """The stack with what is measured of it, for `judge` and `reconstruct` to share.

        Args:
            optics: optics of the detection, as far as they are known; `Optics(...).nominal` has
                those of an aperture, a wavelength and a pixel size. None: those that the file
                states, if any. Those of a prepared stack stay.
            search: search for fringes, see `PreparedStack`.
        """
        if isinstance(stack, PreparedStack):
            if stack.min_max == self.min_max and stack.device == self.device:
                return stack
            # Prepared for a posterior on another device, or one that scales its frames otherwise.
            stack, optics, search = stack.stack, stack.optics, stack.search
        require_stack(stack)
        if optics is None:
            optics = stated_optics(stack.na, stack.emission_nm, stack.pixel_size_nm)
        return PreparedStack(stack, self.min_max, optics, search, self.device)

    def require_maps(self, maps: Sequence[str]) -> None:
        """`InputError` if a map is unknown, or cannot be had from these members."""
        comparable = self.convention != "released" and not self.is_student
        require_maps(maps, self.states_total, comparable)
