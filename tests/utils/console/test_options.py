"""Mistyped options are answered with the right name."""

import pytest

from bayesdl_sim.utils.console.options import CommandLine


@pytest.fixture
def parser():
    parser = CommandLine(prog="test.py", allow_abbrev=False)
    parser.add_argument("--test_data", required=True)
    parser.add_argument("--SISR_or_SIM")
    return parser


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["--tset_data", "a.tif"], "no option --tset_data: did you mean --test_data?"),
        (["--test-data=a.tif"], "no option --test-data: did you mean --test_data?"),
        (["--test_data", "a", "--sisr_or_sim", "SIM"], "did you mean --SISR_or_SIM?"),
        (["--test_data", "a", "--xyz"], "no option --xyz; --help shows them all"),
    ],
)
def test_the_nearest_option_is_named(parser, capsys, words, answer):
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    assert ended.value.code == 2
    assert answer in capsys.readouterr().err


def test_what_is_right_is_parsed_as_ever(parser):
    assert parser.parse_args(["--test_data", "-3"]).test_data == "-3"
    assert parser.parse_args(["--test_data=a--b"]).test_data == "a--b"
