"""Draws come from the generator that was passed in, and stay in their range."""

import torch

from bayesdl_sim.utils.sampling import integer, uniform


def test_draws_fill_their_range_repeat_and_leave_the_global_state_alone():
    before = torch.get_rng_state()
    one, again = (torch.Generator().manual_seed(1) for _ in range(2))
    numbers = [uniform(one, -2, 3) for _ in range(500)]
    picks = [integer(one, 2, 5) for _ in range(100)]
    assert numbers == [uniform(again, -2, 3) for _ in range(500)]
    assert -2 <= min(numbers) < -1.9
    assert 2.9 < max(numbers) < 3
    assert set(picks) == {2, 3, 4}
    assert torch.equal(torch.get_rng_state(), before)
