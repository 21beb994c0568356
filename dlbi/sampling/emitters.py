"""Markov chain over emitters: their states, the brightness of every emission, their positions."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from bayesdl_sim.dlbi.conventions import BLEACHED, DARK, EMITTING
from bayesdl_sim.dlbi.inference.blocks import joint_states, sample_joint
from bayesdl_sim.dlbi.inference.chains import Switching, sample_chains
from bayesdl_sim.dlbi.inference.colouring import colour_classes, disjoint_blocks, random_blocks
from bayesdl_sim.dlbi.sampling.brightness import (
    Brightness,
    first_law,
    pair_evidence,
    sample_above_zero,
    second_law,
    single_law,
)
from bayesdl_sim.dlbi.sampling.field import Field, View, camera_position
from bayesdl_sim.dlbi.sampling.priors import learned_switching

__all__ = ["EmitterSampler", "sample_places"]

# Fine pixels of the window in which a position is drawn. It is placed at random around the present
# position, which therefore moves by at most 8 fine pixels, one camera pixel.
WINDOW = 9
# Widths between two emitters up to which their chains are also drawn jointly.
PAIR_REACH = 2.0
# Fine pixels around earlier emitters in which absent candidates are proposed, and the share of the
# history that is kept from sweep to sweep.
EXPANSION = 4.0
MEMORY = 0.9


def sample_places(
    density: NDArray, count: int, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Fine pixels (count, 2) drawn from a density (8H, 8W) of any unit."""
    cumulative = np.cumsum(density, dtype=np.float64)
    places = np.searchsorted(cumulative, generator.random(count) * cumulative[-1], side="right")
    places = np.minimum(places, density.size - 1)
    return np.stack(np.divmod(places, density.shape[1]), axis=1)


class EmitterSampler:
    """Candidate emitters on the fine grid, each with a chain of states and light in every frame.

    Presence is Beta-Bernoulli: an absent candidate starts bleached and stays so. Births and deaths
    are therefore exact draws of chains. Absent candidates are moved before every sweep, half of
    them to places of the base measure, half to places of emitters in earlier sweeps, where they may
    split one emitter that stands for two. The odds of presence are corrected for the difference of
    these distributions (Carlin and Chib, JRSS B 57, 473 (1995)).

    Args:
        field: the movie.
        base: (8H, 8W), base measure of positions; positive, sums to 1.
        switching: transition matrix of present emitters.
        brightness: brightness of their emissions.
        load: prior probability that a candidate is present.
        places: (N, 2), fine pixels to start from.
    """

    def __init__(
        self,
        field: Field,
        base: NDArray,
        switching: Switching,
        brightness: Brightness,
        load: float,
        places: NDArray[np.int64],
    ):
        self.field = field
        self.switching, self.brightness, self.load = switching, brightness, load
        self.places = np.array(places)
        self.light = np.zeros((len(places), field.frames), dtype=np.float32)
        self.states = np.full(self.light.shape, BLEACHED, dtype=np.int8)
        self.base, self._log_base = base, np.log(base)
        self._history = np.zeros_like(base)  # of densities
        self._absent_law = base
        self._arrange()

    @property
    def present(self) -> NDArray[np.bool_]:
        """(N,), whether a candidate is present: not bleached from the first frame on."""
        return self.states[:, 0] != BLEACHED

    def sweep(
        self,
        generator: np.random.Generator,
        density: NDArray | None = None,
        power: float = 1.0,
    ) -> None:
        """Draws chain, light and position of every candidate once, given all others.

        Args:
            generator: source of all random numbers.
            density: (8H, 8W), to which the position distributions of all present emitters are
                added.
            power: power of the likelihood, below 1 while the chain is tempered.
        """
        if density is None:
            density = np.zeros_like(self.base)
        absent = np.flatnonzero(~self.present)
        self.places[absent] = sample_places(self._absent_law, len(absent), generator)
        self._arrange()
        for members in self._classes:
            self._draw_class(members, generator, density, power)
        self._history = MEMORY * self._history + density
        around = gaussian_filter(self._history, EXPANSION)
        if around.sum() > 0:
            self._absent_law = (self.base + around / around.sum()) / 2

    def sweep_pairs(self, generator: np.random.Generator, power: float = 1.0) -> None:
        """Draws the chains of random pairs of neighbours jointly: swaps, splits and merges."""
        reach = PAIR_REACH * self.field.width
        positions = camera_position(self.places)
        near = np.flatnonzero(self.light.any(axis=1))
        for blocks in random_blocks(positions[near], reach, 2, generator):
            pairs = near[blocks]
            for group in disjoint_blocks(pairs, self._anchors, self.field.side):
                self._draw_pairs(pairs[group], generator, power)

    def learn(self, prior: Switching | None, generator: np.random.Generator) -> None:
        """Updates the transition matrix from the present emitters, and draws the load.

        Without a prior, where the switching is known, only the load is drawn.
        """
        present = self.present
        if prior is not None and present.any():
            self.switching = learned_switching(self.states, present, prior)
        there = int(present.sum())
        self.load = float(generator.beta(1 + there, 1 + len(present) - there))

    def moved(self, field: Field) -> "EmitterSampler":
        """The same emitters before another set of frames of the same movie.

        In frames without data so far, emitters start dark.
        """
        sampler = EmitterSampler(
            field, self.base, self.switching, self.brightness, self.load, self.places
        )
        sampler._history, sampler._absent_law = self._history, self._absent_law
        silent = ~self.field.weights.any(axis=0)
        sampler.light, sampler.states = self.light.copy(), self.states.copy()
        sampler.light[:, silent] = 0
        hidden = sampler.states[:, silent]
        hidden[hidden == EMITTING] = DARK
        sampler.states[:, silent] = hidden
        for members in sampler._classes:
            view = field.view(sampler._anchors[members])
            spots, light = (
                field.spots(sampler.places[members], view.anchors),
                sampler.light[members],
            )
            field.exchange(view, (spots, np.zeros_like(light)), (spots, light))
        return sampler

    def _arrange(self) -> None:
        """Centres the patches on the positions, and groups the emitters into classes."""
        self._anchors = np.rint(camera_position(self.places)).astype(np.int64)
        self._classes = colour_classes(self._anchors, self.field.side)

    def _initial(self, members: NDArray[np.int64]) -> NDArray[np.float64]:
        """Initial distributions (..., 3) of candidates: absent ones are bleached from the start."""
        where = self.places[members][..., 0], self.places[members][..., 1]
        there = self.load * self.base[where]
        there = there / (there + (1 - self.load) * self._absent_law[where])
        initial = there[..., None] * self.switching.initial
        initial[..., BLEACHED] += 1 - there
        return initial

    def _draw_class(
        self,
        members: NDArray[np.int64],
        generator: np.random.Generator,
        density: NDArray,
        power: float,
    ) -> None:
        field = self.field
        view = field.view(self._anchors[members])
        spots = field.spots(self.places[members], view.anchors)
        before = self.light[members]
        fields, gram = field.project(view, spots)
        fields += gram * before
        log_odds, law = single_law(power * fields, power * gram, self.brightness)
        states = sample_chains(log_odds, self.switching, generator, self._initial(members))
        light = np.zeros_like(before)
        emitting = states == EMITTING
        chosen = type(law)(*(values[emitting] for values in law))
        light[emitting] = sample_above_zero(chosen, generator)
        self.states[members], self.light[members] = states, light
        places = self._draw_places(members, view, (spots, before), generator, density, power)
        field.exchange(view, (spots, before), (field.spots(places, view.anchors), light))

    def _draw_places(
        self,
        members: NDArray[np.int64],
        view: View,
        before: tuple[NDArray, NDArray],
        generator: np.random.Generator,
        density: NDArray,
        power: float,
    ) -> NDArray[np.int64]:
        """Draws positions in random windows around the present ones; returns and stores them."""
        rows, columns = self._windows(self.places[members], generator)
        logs = power * self._log_likelihoods(members, view, before, rows, columns)
        logs += self._log_base[rows[:, :, None], columns[:, None, :]]
        chances = np.exp(logs - logs.max(axis=(1, 2), keepdims=True))
        chances /= chances.sum(axis=(1, 2), keepdims=True)
        there = self.present[members]
        np.add.at(density, (rows[there][:, :, None], columns[there][:, None]), chances[there])
        cumulative = chances.reshape(len(members), -1).cumsum(axis=1)
        picks = (generator.random((len(members), 1)) * cumulative[:, -1:] > cumulative).sum(1)
        row, column = np.divmod(np.minimum(picks, WINDOW**2 - 1), WINDOW)
        index = np.arange(len(members))
        self.places[members] = np.stack([rows[index, row], columns[index, column]], axis=1)
        return self.places[members]

    def _windows(
        self, places: NDArray[np.int64], generator: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Fine rows and columns (B, WINDOW) of windows that hold the places, placed at random."""
        limits = np.array(self.base.shape) - WINDOW
        low = places - generator.integers(0, WINDOW, size=places.shape)
        low = np.clip(low, 0, limits)[:, :, None] + np.arange(WINDOW)
        return low[:, 0], low[:, 1]

    def _log_likelihoods(
        self,
        members: NDArray[np.int64],
        view: View,
        before: tuple[NDArray, NDArray],
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
    ) -> NDArray[np.float64]:
        """Log-likelihoods (B, WINDOW, WINDOW) of all positions in windows, given the present light.

        h . R - h**2 . V / 2 with R the light to be explained, summed over frames with the
        brightness, and V the weights with its square. Spots are separable, so is the window.
        """
        spots, light_before = before
        light = self.light[members]
        columns_of_light = np.stack([light * light_before, light * light], axis=2)
        across, energy = np.moveaxis(view.weights @ columns_of_light, 2, 0)  # (B, Q) each
        pull = (view.weighted @ light[:, :, None])[:, :, 0] + spots * across
        side = self.field.side
        pull, energy = (sums.reshape(-1, side, side) for sums in (pull, energy))
        along_y = self.field.profiles(rows, view.anchors[:, :1])
        along_x = np.swapaxes(self.field.profiles(columns, view.anchors[:, 1:]), 1, 2)
        return along_y @ pull @ along_x - along_y**2 @ energy @ along_x**2 / 2

    def _draw_pairs(
        self, pairs: NDArray[np.int64], generator: np.random.Generator, power: float
    ) -> None:
        """Draws the chains and the light of pairs (B, 2) jointly; positions stay."""
        field, before = self.field, self.light[pairs]
        views = [field.view(self._anchors[pairs[:, i]]) for i in range(2)]
        spots = [field.spots(self.places[pairs[:, i]], views[i].anchors) for i in range(2)]
        second_there = field.spots(self.places[pairs[:, 1]], views[0].anchors)
        cross = ((spots[0] * second_there)[:, None, :] @ views[0].weights)[:, 0]
        projected = [field.project(view, spot) for view, spot in zip(views, spots, strict=True)]
        gram = np.stack([projected[0][1], projected[1][1], cross])
        fields = np.stack([projected[0][0], projected[1][0]])
        fields += gram[:2] * np.swapaxes(before, 0, 1)
        fields += cross * np.swapaxes(before[:, ::-1], 0, 1)
        fields, gram = power * fields, power * gram
        evidence = pair_evidence(fields, gram, self.brightness)
        emitting = joint_states(2) == EMITTING
        pattern = emitting[:, 0] + 2 * emitting[:, 1]
        joint = np.moveaxis(evidence[pattern], (0, 1, 2), (2, 1, 0))  # (T, B, 9)
        first_laws = self._initial(pairs)
        first_laws = first_laws[:, 0, :, None] * first_laws[:, 1, None]
        states = sample_joint(joint, self.switching, generator, first_laws.reshape(-1, 9))
        on = np.swapaxes(states == EMITTING, 0, 1)
        first = sample_above_zero(first_law(fields, gram, on[1], self.brightness), generator)
        first *= on[0]
        second = sample_above_zero(second_law(fields, gram, first, self.brightness), generator)
        light = np.stack([first, second * on[1]], axis=1).astype(np.float32)
        self.states[pairs], self.light[pairs] = states, light
        for i in range(2):
            field.exchange(views[i], (spots[i], before[:, i]), (spots[i], light[:, i]))
