"""M-step: positions, brightness and width of fluorophores by conjugate gradients."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from bayesdl_sim.dlbi.inference.colouring import neighbours
from bayesdl_sim.dlbi.inference.spots import gaussian

__all__ = ["ExpectedLikelihood", "Priors", "expected_likelihood", "maximise"]

REACH = 6.0  # camera pixels between two fluorophores beyond which spots do not overlap
RADIUS = 5  # camera pixels of the patches


class Priors(NamedTuple):
    """Log-normal priors: mean and standard deviation of the logarithm."""

    amplitude: tuple[float, float]
    width: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class ExpectedLikelihood:
    """Sufficient statistics of the E-step, for a movie of unit noise and no background.

    Args:
        anchors: (N, 2), pixels around which the patches lie.
        light: (N, side, side), sum over frames of E[x_nt] times the movie.
        emissions: (N,), sum over frames of E[x_nt].
        pairs: (K, 2), neighbours.
        together: (K,), sum over frames of E[x_nt x_mt].
    """

    anchors: NDArray[np.int64]
    light: NDArray[np.float64]
    emissions: NDArray[np.float64]
    pairs: NDArray[np.int64]
    together: NDArray[np.float64]

    def value(self, spots: NDArray, priors: Priors) -> tuple[float, NDArray[np.float64]]:
        """Expected log posterior up to a constant, and its gradient.

            sum_n a_n h_n . D_n - 1/2 sum_nm C_nm a_n a_m g(r_n - r_m; w_n**2 + w_m**2)

        with D the light, C the joint emissions and g a normal density: the product of two spots,
        summed over pixels. The border of the field is neglected.

        Args:
            spots: (N, 4): log amplitude, log width, y, x.
            priors: priors of amplitude and width.

        Returns:
            The value, and its gradient (N, 4).
        """
        amplitude, width = np.exp(spots[:, 0]), np.exp(spots[:, 1])
        value, gradient = self._data_term(spots, amplitude, width)
        everyone = np.arange(len(spots))
        first = np.concatenate([everyone, self.pairs[:, 0]])
        second = np.concatenate([everyone, self.pairs[:, 1]])
        share = np.concatenate([self.emissions / 2, self.together])
        self._subtract_overlap(spots, (first, second, share), value, gradient)
        total = float(value[0])
        for column, (mean, spread) in enumerate(priors):
            deviation = (spots[:, column] - mean) / spread
            total -= float((deviation**2).sum() / 2)
            gradient[:, column] -= deviation / spread
        return total, gradient

    def _data_term(
        self, spots: NDArray, amplitude: NDArray, width: NDArray
    ) -> tuple[list, NDArray]:
        steps = np.arange(-RADIUS, RADIUS + 1)
        distance = self.anchors[:, :, None] + steps - spots[:, 2:, None]  # (N, 2, side)
        along = gaussian(distance, width[:, None, None])
        slope = along * distance / width[:, None, None] ** 2
        wider = along * ((distance / width[:, None, None]) ** 2 - 1)  # by the log width
        rows = np.einsum("nij,nj->ni", self.light, along[:, 1])
        explained = (along[:, 0] * rows).sum(1)
        columns = np.einsum("nij,ni->nj", self.light, along[:, 0])
        gradient = np.empty_like(spots)
        gradient[:, 0] = explained
        gradient[:, 1] = (wider[:, 0] * rows).sum(1) + (wider[:, 1] * columns).sum(1)
        gradient[:, 2] = (slope[:, 0] * rows).sum(1)
        gradient[:, 3] = (slope[:, 1] * columns).sum(1)
        return [(amplitude * explained).sum()], gradient * amplitude[:, None]

    @staticmethod
    def _subtract_overlap(
        spots: NDArray, pairs: tuple[NDArray, NDArray, NDArray], value: list, gradient: NDArray
    ) -> None:
        first, second, share = pairs
        amplitude, variance = np.exp(spots[:, 0]), np.exp(2 * spots[:, 1])
        sum_of_variances = variance[first] + variance[second]
        distance = spots[first, 2:] - spots[second, 2:]
        square = (distance**2).sum(1)
        product = np.exp(-square / (2 * sum_of_variances)) / (2 * np.pi * sum_of_variances)
        product *= share * amplitude[first] * amplitude[second]
        value[0] -= product.sum()
        by_variance = product * (square / (2 * sum_of_variances**2) - 1 / sum_of_variances)
        by_place = -product[:, None] * distance / sum_of_variances[:, None]
        for side, sign in ((first, 1), (second, -1)):
            np.subtract.at(gradient[:, 0], side, product)
            np.subtract.at(gradient[:, 1], side, 2 * variance[side] * by_variance)
            np.subtract.at(gradient[:, 2:], side, sign * by_place)


def expected_likelihood(
    movie: NDArray, positions: NDArray, emitting: NDArray
) -> ExpectedLikelihood:
    """Computes the statistics of the M-step from draws of the states.

    Args:
        movie: (T, H, W) of unit noise and no background.
        positions: (N, 2).
        emitting: (draws, N, T), whether fluorophores emit.
    """
    emitting = emitting.astype(np.float64)
    mean = emitting.mean(0)
    anchors = np.rint(positions).astype(np.int64)
    padded = np.pad(movie, [(0, 0), (RADIUS, RADIUS), (RADIUS, RADIUS)])
    low = np.clip(anchors, 0, np.array(movie.shape[1:]) - 1)
    side = 2 * RADIUS + 1
    light = np.stack(
        [
            np.tensordot(share, padded[:, row : row + side, column : column + side], 1)
            for share, (row, column) in zip(mean, low.tolist(), strict=True)
        ]
    )
    pairs = neighbours(positions, REACH)
    together = np.einsum("dkt,dkt->k", emitting[:, pairs[:, 0]], emitting[:, pairs[:, 1]])
    return ExpectedLikelihood(
        anchors=low,
        light=light,
        emissions=mean.sum(1),
        pairs=pairs,
        together=together / len(emitting),
    )


def maximise(
    likelihood: ExpectedLikelihood, spots: NDArray, priors: Priors, iterations: int
) -> NDArray[np.float64]:
    """Spots (N, 4) after some iterations of conjugate gradients on the expected log posterior."""

    def cost(flat: NDArray) -> tuple[float, NDArray]:
        value, gradient = likelihood.value(flat.reshape(-1, 4), priors)
        return -value, -gradient.ravel()

    result = minimize(cost, spots.ravel(), jac=True, method="CG", options={"maxiter": iterations})
    return result.x.reshape(-1, 4)
