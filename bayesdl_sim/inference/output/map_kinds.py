"""Which maps a result can have, and how each is shown; light, so that a reader starts quickly."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["CHANNELS", "FACTS", "MAPS", "OTHER", "PROBABILITIES", "MapKind"]

CHANNELS = "Channels.ome.tif"
FACTS = "prediction.json"


@dataclass(frozen=True, kw_only=True)
class MapKind:
    """How a map is shown.

    Attributes:
        title: title of its picture; None: no picture.
        label: what its colours mean; "{delta}" stands for the tolerance of the credibility.
        colours: a colour map of matplotlib.
        limits: the values at the ends of the colours; None: by the image.
        symmetric: whether limits by the image lie around zero, so that white means none.
        raw_grid: whether it lies on the pixels of the raw frames, not on the doubled grid.
        border: pixels along each edge without meaning: the field goes on outside, the image does
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
    "SR": MapKind(title="Super-resolved", label="normalised SR intensity", colours="magma"),
    "Aleatoric": MapKind(title="Aleatoric uncertainty", label=_WIDTH),
    "Epistemic": MapKind(title="Epistemic uncertainty", label=_WIDTH),
    "Credibility": MapKind(title="Credibility", label="P(|error| < {delta})", colours="cividis"),
    "Sharp": MapKind(
        title="Super-resolved, sharp convention",
        label="normalised SR intensity",
        colours="magma",
    ),
    "Lower": MapKind(),
    "Upper": MapKind(),
    "Contradicted": MapKind(
        title="Light that the frames contradict: too much (+), too little (-)",
        label="standard deviations",
        colours="RdBu_r",
        limits=(-6.0, 6.0),
        raw_grid=True,
        border=10,
    ),
    "Misfit": MapKind(
        title="Misfit of the re-simulated frames",
        label="chi^2 per frame",
        limits=(0.0, 4.0),
        raw_grid=True,
        border=10,
    ),
    "Change": MapKind(
        title="Change to the next time point",
        label="normalised SR intensity",
        colours="RdBu_r",
        symmetric=True,
    ),
    "Changed": MapKind(
        title="Change beyond its credible interval",
        label="-1: darker, 1: brighter",
        colours="RdBu_r",
        limits=(-1.0, 1.0),
    ),
}


OTHER = MapKind(colours="gray")  # Exceedance, draws
PROBABILITIES = ("Credibility", "Exceedance")
