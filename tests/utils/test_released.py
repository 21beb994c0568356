"""Options that do nothing any more: accepted, and named when they are used."""

import argparse

import pytest

from bayesdl_sim.utils.released import RELEASED_OPTIONS, accept_without_effect, first_gpu


def parser():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--epoch", type=int)
    accept_without_effect(parser, RELEASED_OPTIONS)
    return parser


@pytest.mark.parametrize("name", list(RELEASED_OPTIONS))
def test_named_once_and_without_trace(name, capsys):
    args = parser().parse_args([f"--{name}", "3", "--epoch", "4"])
    assert vars(args) == {"epoch": 4}
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith(f"--{name} 3: has no effect")


def test_silent_and_hidden_where_not_used(capsys):
    assert vars(parser().parse_args([])) == {"epoch": None}
    assert capsys.readouterr().out == ""
    assert "num_workers" not in parser().format_help()


def test_first_of_several_gpus(capsys):
    assert first_gpu("2") == 2
    assert capsys.readouterr().out == ""
    assert first_gpu("1,3") == 1
    assert "number 1" in capsys.readouterr().out
    with pytest.raises(argparse.ArgumentTypeError, match="expected the number of a GPU"):
        first_gpu("all")
