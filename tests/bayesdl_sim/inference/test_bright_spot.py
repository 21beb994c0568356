"""A spot that outshines the structure is named beside the result."""

import numpy as np
import pytest

from bayesdl_sim.data.stacks import RawStack
from bayesdl_sim.inference.facts import result_lines


@pytest.mark.parametrize("times", [0, 12])
def test_a_spot_is_named_and_nothing_else_is(posterior, stack, times):
    raw = stack.raw.copy()
    y, x = np.mgrid[: raw.shape[-2], : raw.shape[-1]]
    bead = np.exp(-((y - 40) ** 2 + (x - 50) ** 2) / 4)
    raw += (times * np.percentile(raw, 99.5) * bead).astype(np.float32)
    known = {"pixel_size_nm": 65.0, "name": stack.name, "source": stack.source}
    spotted = RawStack(raw=raw, **known)
    result = posterior.reconstruct(spotted)
    named = [line for line in result_lines(spotted, result) if "times as bright" in line]
    if not times:
        assert result.facts["bright_spot"] is None
        assert named == []
        return
    assert 4 < result.facts["bright_spot"] < 40
    assert len(named) == 1
