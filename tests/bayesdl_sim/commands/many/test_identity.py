"""What the identity of a result depends on, and the name that a message gives to a difference."""

import pytest

from bayesdl_sim.commands.many.identity import identity_of
from bayesdl_sim.commands.testing.options import parse_args
from bayesdl_sim.data.found_stacks import found_stacks
from bayesdl_sim.inference.posterior import Posterior
from bayesdl_sim.utils.folders.differences import difference
from tests.bayesdl_sim.commands.many.conftest import command_line


@pytest.fixture(scope="module")
def identity(series, few_members, tmp_path_factory):
    """A function from options, precision of the networks and their number to an identity."""
    (stack,) = found_stacks(series)

    def of(*options, precision="fp32", count=2):
        settings = parse_args(command_line(series, tmp_path_factory.mktemp("out"), "x", *options))
        posterior = Posterior.load(few_members, "cpu", count, precision=precision)
        return identity_of(stack, settings, posterior, True)

    return of


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--delta", "0.1"), "delta (there 0.05, here 0.1)"),
        (("--tile", "64"), "tile (there 512, here 64)"),
        (("--na", "1.4", "--wavelength_nm", "525"), "na (there none, here 1.4)"),
        (("--misfit",), "maps (there not, here Contradicted, Misfit)"),
        (("--precision", "auto"), "precision (there fp32, here auto)"),
    ],
)
def test_an_option_that_changes_the_result_is_named(identity, options, words):
    first, second = identity("--delta", "0.05"), identity("--delta", "0.05", *options)
    assert first.digest != second.digest
    assert difference(first.record, second.record) == words


def test_another_number_of_members_is_named(identity):
    first, second = identity(), identity(count=1)
    assert difference(first.record, second.record) == "members member_02.pth (there only)"


def test_the_precision_that_auto_found_and_the_computer_do_not_count(identity):
    first = identity("--precision", "auto", precision="bf16")
    assert first == identity("--precision", "auto", "--threads", "2", "--again", precision="fp32")
