"""Lengths that are quick to transform."""

import scipy.fft

from bayesdl_sim.physics.patterns.bands import fast_shape


def test_fast_lengths_are_those_of_scipy():
    lengths = [*range(16, 1200), 2049, 4099, 65537]
    expected = [scipy.fft.next_fast_len(n) for n in lengths]
    assert [fast_shape((n, n))[0] for n in lengths] == expected
    assert fast_shape((100, 502), 24) == (150, 550)
