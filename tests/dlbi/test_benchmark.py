"""The benchmark of the exact core prints a row for each fluorophore."""

import pytest

from bayesdl_sim.dlbi.benchmark import main, parse_args
from bayesdl_sim.utils.errors import InputError


def test_a_row_for_each_fluorophore(capsys):
    main(["--chains", "20", "--frames", "12", "--repeats", "1"])
    header, rule, *rows = capsys.readouterr().out.strip().splitlines()
    assert "times faster" in header
    assert rule.count("-") == 15
    assert [row.split("|")[1].strip() for row in rows] == ["mEos3.2", "bleaching", "sparse"]
    for row in rows:
        assert all(float(cell) > 0 for cell in row.split("|")[2:-1])


def test_sizes_are_positive():
    with pytest.raises(InputError, match="chains"):
        parse_args(["--chains", "0"])
