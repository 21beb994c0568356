"""Which maps a result can have, and how each is shown; light, so that a reader starts quickly."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["CHANNELS", "FACTS", "MAPS", "OTHER", "PROBABILITIES", "MapKind"]

CHANNELS = "Channels.ome.tif"
FACTS = "prediction.json"


class MapKind(NamedTuple):
    """How a map is shown.

    Attributes:
        title: of its picture; None: no picture.
        label: what its colours mean; "{delta}" stands for the tolerance of the credibility.
        colours: a colour map of matplotlib.
        limits: the values at the ends of the colours; None: by the image.
        symmetric: whether limits by the image lie around zero, so that white means none.
        raw_grid: whether it lies on the pixels of the raw frames, not on the doubled grid.
        border: pixels along each edge that say nothing: the field goes on outside, the image does
            not. They are hatched in the picture, and no printed share counts them.
    """

    title: str | None = None
    label: str = ""
    colours: str = "viridis"
    limits: tuple[float, float] | None = None
    raw_grid: bool = False
    symmetric: bool = False
    border: int = 0


_WIDTH = "standard deviation, normalised SR intensity"
# Every map that may be a file NAME.tif (and NAME.png); others are channels only.
MAPS = {
    "SR": MapKind("Super-resolved", "normalised SR intensity", "magma"),
    "Aleatoric": MapKind("Aleatoric uncertainty", _WIDTH),
    "Epistemic": MapKind("Epistemic uncertainty", _WIDTH),
    "Credibility": MapKind("Credibility", "P(|error| < {delta})", "cividis"),
    "Sharp": MapKind("Super-resolved, sharp convention", "normalised SR intensity", "magma"),
    "Lower": MapKind(),
    "Upper": MapKind(),
    "Contradicted": MapKind(
        "Light that the frames contradict: too much (+), too little (-)",
        "standard deviations",
        "RdBu_r",
        (-6.0, 6.0),
        raw_grid=True,
        border=10,
    ),
    "Misfit": MapKind(
        "Misfit of the re-simulated frames",
        "chi^2 per frame",
        "viridis",
        (0.0, 4.0),
        raw_grid=True,
        border=10,
    ),
    "Change": MapKind(
        "Change to the next time point", "normalised SR intensity", "RdBu_r", symmetric=True
    ),
    "Changed": MapKind(
        "Change beyond its credible interval", "-1: darker, 1: brighter", "RdBu_r", (-1.0, 1.0)
    ),
}


OTHER = MapKind(colours="gray")  # Exceedance, draws
PROBABILITIES = ("Credibility", "Exceedance")
