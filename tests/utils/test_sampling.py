"""Draws come from the generator that was passed in, and stay in their range."""

import numpy as np
import torch

from bayesdl_sim.utils.sampling import generator_from, integer, seed_from, uniform


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


def test_seeds_of_several_numbers():
    seeds = {seed_from(*numbers) for numbers in ((1, 2), (2, 1), (1, 2, 1), (1,), (3, 7))}
    assert len(seeds) == 5
    assert all(0 <= seed < 2**63 for seed in seeds)
    # The value that simulated sets have been made with.
    state = np.random.SeedSequence([78, 5]).generate_state(1, np.uint64)[0]
    assert seed_from(78, 5) == int(state >> np.uint64(1))
    drawn = [torch.rand((), generator=generator_from(78, 5)).item() for _ in range(2)]
    assert drawn[0] == drawn[1]
