"""The benchmark of frame offsets adds what it says, and its table compares with no offsets."""

import pytest
import torch

from bayesdl_sim.benchmarks.faulty_inputs import offsets
from bayesdl_sim.benchmarks.faulty_inputs.offsets import main, with_offsets


def test_offsets_are_one_number_per_frame():
    raw = torch.rand(9, 64, 64, generator=torch.Generator().manual_seed(1))
    generator = torch.Generator().manual_seed(2)
    added = with_offsets(raw, 0.1, generator) - raw
    assert float(added.std(dim=(1, 2)).max()) < 1e-6
    assert float(added.mean(dim=(1, 2)).std()) > 0.01
    assert torch.equal(with_offsets(raw, 0.0, generator), raw)


def test_the_table_has_a_row_for_every_share(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(offsets, "SHARES", (0.0, 0.03))
    main(["--cells", "1", "--levels", "1", "--size", "64", "--members", "1"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert float(rows[2].split("|")[3]) == 0.0
    assert float(rows[3].split("|")[3]) == pytest.approx(0.0, abs=1.0)
