"""The sampler draws from the law it claims: Gaussian targets with known mean and covariance."""

import copy
import math

import pytest
import torch

from bayesdl_sim.bayes.released import ReleasedNoise
from bayesdl_sim.bayes.schedule import CyclicSchedule
from bayesdl_sim.bayes.sgld import SGLD
from bayesdl_sim.utils.errors import InputError

CHAINS = 3000
CURVATURES = torch.tensor([0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0])


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def parameter(*shape, dtype=torch.float32, seed=None):
    start = torch.zeros(shape) if seed is None else torch.randn(shape, generator=generator(seed))
    return torch.nn.Parameter(start.to(dtype))


def run(sampler, energy, steps):
    """Every row of a parameter is one chain: the energies of all rows are summed."""
    for _ in range(steps):
        sampler.zero_grad()
        energy().backward()
        sampler.step()


def covariance_ratio(draws, covariance):
    """Eigenvalues of (known covariance)^-1 (covariance of the draws); draws (n, d)."""
    whiten = torch.linalg.cholesky(torch.linalg.inv(covariance.double()))
    return torch.linalg.eigvalsh(torch.cov((draws.double() @ whiten).T))


# --- the stationary law ---------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.1, 1.0])
@pytest.mark.parametrize("num_data", [1, 50, 2000, 50000])
def test_variance_of_parallel_chains_is_the_discretised_value(num_data, temperature):
    h, seed = 0.03, num_data + round(10 * temperature)
    theta = parameter(CHAINS, len(CURVATURES))
    sampler = SGLD([theta], h, num_data, temperature, generator=generator(seed))
    run(sampler, lambda: (0.5 * CURVATURES * theta**2).sum(), 400)
    expected = temperature / (num_data * CURVATURES * (1 - h * CURVATURES / 2))
    ratio = theta.detach().var(0) / expected
    print("worst", float((ratio - 1).abs().max()))
    assert (ratio - 1).abs().max() < 0.12
    # Its mean is the minimum of the energy: 5 standard errors.
    assert (theta.detach().mean(0).abs() < 5 * (expected / CHAINS).sqrt()).all()


@pytest.mark.parametrize("scale", [0.1, 1.0, 1.8])
def test_finite_step_costs_the_bracket(scale):
    """Steps so large that the bracket 1 - h lam / 2 is 0.95, 0.5 and 0.1."""
    theta = parameter(CHAINS)
    sampler = SGLD([theta], scale / 4, num_data=100, generator=generator(2))
    run(sampler, lambda: (2 * theta**2).sum(), 100)  # lam = 4
    assert float(theta.detach().var()) * 400 * (1 - scale / 2) == pytest.approx(1, abs=0.12)


def test_prior_precision_adds_to_the_curvature():
    num_data, prior = 20, 30.0
    theta = parameter(CHAINS)
    sampler = SGLD([theta], 0.1, num_data, prior_precision=prior, generator=generator(3))
    run(sampler, lambda: (0.5 * (theta - 1) ** 2).sum(), 100)
    curvature = 1 + prior / num_data
    expected = 1 / (num_data * curvature * (1 - 0.05 * curvature))
    assert float(theta.detach().var()) / expected == pytest.approx(1, abs=0.12)
    assert float(theta.detach().mean()) == pytest.approx(1 / curvature, abs=0.02)


def test_parameter_that_the_energy_does_not_reach_follows_its_prior():
    used, unused = parameter(3), parameter(CHAINS)
    sampler = SGLD([used, unused], 0.5, 10, prior_precision=4.0, generator=generator(4))
    run(sampler, lambda: used.square().sum(), 200)
    assert float(unused.detach().var()) * 4 == pytest.approx(1 / (1 - 0.1), rel=0.12)


# --- regression -----------------------------------------------------------------------------


def regression(num_data=1000, noise=0.7, seed=5):
    """Correlated features whose posterior N((X'X)^-1 X'y, noise^2 (X'X)^-1) is known."""
    g = generator(seed)
    turn = torch.linalg.qr(torch.randn(4, 4, generator=g))[0]
    x = (
        torch.randn(num_data, 4, generator=g)
        @ torch.diag(torch.tensor([0.6, 0.8, 1.0, 1.4]))
        @ turn
    )
    y = x @ torch.randn(4, generator=g) + noise * torch.randn(num_data, generator=g)
    precision = x.T.double() @ x.double() / noise**2
    covariance = torch.linalg.inv(precision)
    mean = covariance @ (x.T.double() @ y.double()) / noise**2
    return x, y, noise, mean, covariance


def test_minibatch_regression_recovers_the_posterior_covariance():
    x, y, noise, mean, covariance = regression()
    chains, batch = 500, 250
    largest = 1 / (len(x) * torch.linalg.eigvalsh(covariance).min())  # curvature of the energy
    theta = torch.nn.Parameter(mean.float().repeat(chains, 1))
    sampler = SGLD([theta], 0.015 / float(largest), len(x), generator=generator(6))
    batches, draws = generator(7), []

    def energy():  # every chain has a minibatch of its own, or the chains would move together
        pick = torch.randint(len(x), (chains, batch), generator=batches)
        residual = y[pick] - (x[pick] @ theta[:, :, None])[:, :, 0]
        return (0.5 * (residual / noise) ** 2).mean(1).sum()

    run(sampler, energy, 1000)
    for _ in range(8):
        run(sampler, energy, 100)
        draws.append(theta.detach().clone())
    ratio = covariance_ratio(torch.cat(draws), covariance)
    print("eigenvalues", ratio.tolist())
    assert ratio.min() > 0.85
    assert ratio.max() < 1.15
    errors = (torch.cat(draws).mean(0) - mean) / covariance.diagonal().sqrt()
    assert errors.abs().max() < 0.2


def test_agrees_with_posteriors():
    """An independent implementation: `posteriors` scales the log posterior, we the energy."""
    posteriors = pytest.importorskip("posteriors")
    num_data, h, burn_in, more = 500, 0.05, 300, 5
    curvature = torch.tensor([0.5, 2.0, 8.0, 16.0])
    theta = parameter(CHAINS, 4)
    sampler = SGLD([theta], h, num_data, temperature=0.5, generator=generator(8))

    def log_posterior(params, batch):
        return -num_data * (0.5 * curvature * params**2).sum(), torch.tensor(0.0)

    transform = posteriors.sgmcmc.sgld.build(log_posterior, h / num_data, temperature=0.5)
    ours, theirs = [], []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        state = transform.init(torch.zeros(CHAINS, 4))
        for steps in [burn_in] + [60] * more:
            run(sampler, lambda: (0.5 * curvature * theta**2).sum(), steps)
            for _ in range(steps):
                state, _ = transform.update(state, None)
            ours.append(theta.detach().var(0))
            theirs.append(state.params.var(0))
    ratio = torch.stack(ours).mean(0) / torch.stack(theirs).mean(0)
    print("ratio", ratio.tolist())
    assert (ratio - 1).abs().max() < 0.1


# --- T = 0 ----------------------------------------------------------------------------------


@pytest.mark.parametrize("prior", [0.0, 25.0])
def test_zero_temperature_is_sgd_and_draws_nothing(prior):
    torch_params = [parameter(7, 3, seed=10), parameter(5, seed=11)]
    our_params = copy.deepcopy(torch_params)
    g = generator(12)
    before = g.get_state()
    sampler = SGLD(our_params, 0.05, 200, temperature=0.0, prior_precision=prior, generator=g)
    sgd = torch.optim.SGD(torch_params, 0.05, weight_decay=prior / 200)
    run(sampler, lambda: sum((p**4).sum() for p in our_params), 50)
    run(sgd, lambda: sum((p**4).sum() for p in torch_params), 50)
    gap = max((a - b).abs().max().item() for a, b in zip(our_params, torch_params, strict=True))
    print("gap", gap)
    assert gap <= 1e-7
    assert torch.equal(g.get_state(), before)


# --- preconditioner -------------------------------------------------------------------------


def preconditioned_variance(freeze):
    """Variance of many chains over the exact one, each with its own running mean `v`."""
    # Each chain starts as wide as the target.
    theta = torch.nn.Parameter(0.1 * torch.randn(CHAINS, generator=generator(13)))
    sampler = SGLD(
        [theta], 0.005, num_data=100, precondition=True, beta2=0.9, generator=generator(14)
    )

    def energy():
        return 0.5 * theta.square().sum()

    run(sampler, energy, 300)
    if freeze:
        sampler.freeze_preconditioner()
    ratios = []
    for _ in range(10):
        run(sampler, energy, 60)
        gain = 1 / (sampler._eps + sampler._roots(sampler.param_groups[0], [theta])[0])
        exact = 1 / (100 * (1 - 0.005 * gain / 2))
        ratios.append((theta.detach() ** 2 / exact).mean())
    return float(torch.stack(ratios).mean())


def test_adaptive_preconditioner_inflates_the_variance_and_the_frozen_one_does_not():
    adaptive, frozen = preconditioned_variance(False), preconditioned_variance(True)
    print("adaptive", adaptive, "frozen", frozen)
    assert adaptive > 1.25
    assert frozen == pytest.approx(1, abs=0.12)


def test_preconditioned_chain_recovers_an_anisotropic_covariance():
    """Curvatures over two decades, turned: the diagonal `G` is neither constant nor exact."""
    num_data, d = 1000, 4
    turn = torch.linalg.qr(torch.randn(d, d, generator=generator(15)))[0]
    scale = torch.tensor([0.3, 0.6, 1.0, 3.0])
    precision = turn @ torch.diag(torch.tensor([1.0, 2.0, 4.0, 8.0])) @ turn.T
    precision = precision * torch.outer(scale, scale)
    theta = torch.nn.Parameter(0.05 * torch.randn(CHAINS, d, generator=generator(16)))
    sampler = SGLD([theta], 1e-3, num_data, precondition=True, beta2=0.99, generator=generator(17))

    def energy():
        return 0.5 * ((theta @ precision) * theta).sum()

    run(sampler, energy, 800)
    sampler.freeze_preconditioner()
    frozen = sampler.state[theta]["square_mean"].clone()
    draws = []
    for _ in range(3):
        run(sampler, energy, 1000)
        draws.append(theta.detach().clone())
    assert torch.equal(sampler.state[theta]["square_mean"], frozen)
    curvatures = torch.linalg.eigvalsh(precision)
    ratio = covariance_ratio(torch.cat(draws), torch.linalg.inv(precision) / num_data)
    print("condition", float(curvatures[-1] / curvatures[0]), "eigenvalues", ratio.tolist())
    assert curvatures[-1] / curvatures[0] > 50
    assert ratio.min() > 0.85
    assert ratio.max() < 1.15


def test_eps_is_a_fraction_of_the_mean_root_and_bounds_the_noise_of_dead_weights():
    live, dead = parameter(900, seed=16), parameter(100)
    sampler = SGLD([live, dead], 1e-3, 1, precondition=True, generator=generator(17))
    run(sampler, lambda: (3 * live).sum() + (0 * dead).sum(), 1)
    # One step: sqrt(v) = |gradient| without the bias of the start, 3 for 900 of 1000 weights.
    assert float(sampler._eps) == pytest.approx(0.3 * 2.7, rel=1e-5)
    assert float(dead.detach().std()) == pytest.approx(math.sqrt(2e-3 / 0.81), rel=0.25)


def test_freezing_needs_a_gradient_and_without_preconditioner_does_nothing():
    theta = parameter(2)
    with pytest.raises(InputError, match="before the first step"):
        SGLD([theta], 0.1, 1, precondition=True).freeze_preconditioner()
    SGLD([theta], 0.1, 1).freeze_preconditioner()


def test_energy_without_any_gradient_keeps_preconditioned_weights_finite():
    """A sampler without any gradient has no scale yet: it adds plain noise, not noise over zero."""
    theta = parameter(CHAINS)
    sampler = SGLD([theta], 0.1, 20, precondition=True, generator=generator(18))
    run(sampler, lambda: (0 * theta).sum(), 1)
    assert float(theta.detach().std()) == pytest.approx(0.1, rel=0.1)


# --- who moves, resume, random state --------------------------------------------------------


def test_noise_moves_what_is_handed_in_and_nothing_else():
    trunk, tail, frozen = parameter(50), parameter(50), parameter(50)
    frozen.requires_grad_(False)
    before = [trunk.detach().clone(), frozen.detach().clone()]
    sampler = SGLD([tail, frozen], 0.1, 1, generator=generator(19))
    run(sampler, lambda: (trunk + tail + frozen).square().sum(), 5)
    assert torch.equal(trunk, before[0])
    assert torch.equal(frozen, before[1])
    assert (tail != 0).all()


@pytest.mark.parametrize("precondition", [False, True])
@pytest.mark.parametrize("frozen", [False, True])
def test_resume_is_bitwise(precondition, frozen, tmp_path):
    def fresh(seed):
        params = [parameter(6, 5, seed=20), parameter(4, seed=21)]
        sampler = SGLD(
            params, 0.01, 50, 0.7, 2.0, precondition=precondition, generator=generator(seed)
        )
        return params, sampler, lambda: sum((p**2 + p**4).sum() for p in params)

    params, sampler, energy = fresh(22)
    run(sampler, energy, 7)
    if frozen:
        sampler.freeze_preconditioner()
    sampler.param_groups[0]["lr"] = 0.004
    path = tmp_path / "sampler.pth"
    torch.save({"params": [p.detach() for p in params], "sampler": sampler.state_dict()}, path)
    run(sampler, energy, 9)

    other_params, other, other_energy = fresh(999)  # another seed, replaced by the stored state
    stored = torch.load(path, weights_only=True)
    for param, value in zip(other_params, stored["params"], strict=True):
        param.data.copy_(value)
    other.load_state_dict(stored["sampler"])
    assert other.frozen is frozen
    run(other, other_energy, 9)
    for ours, theirs in zip(params, other_params, strict=True):
        assert torch.equal(ours, theirs)


def test_state_of_another_optimiser_is_refused():
    theta = parameter(2)
    with pytest.raises(InputError, match="SGLD"):
        SGLD([theta], 0.1, 1).load_state_dict(torch.optim.SGD([theta], 0.1).state_dict())


def test_global_random_state_is_untouched_and_the_generator_decides():
    before = torch.get_rng_state()
    draws = []
    for seed in (None, None, 23, 23, 24):
        theta = parameter(30)
        g = None if seed is None else generator(seed)
        sampler = SGLD([theta], 0.1, 1, precondition=True, generator=g)
        run(sampler, lambda theta=theta: theta.square().sum(), 3)
        draws.append(theta.detach().clone())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(draws[0], draws[1])
    assert torch.equal(draws[2], draws[3])
    assert not torch.equal(draws[3], draws[4])


def test_gradients_are_left_as_backward_made_them():
    theta = parameter(5, seed=25)
    sampler = SGLD([theta], 0.1, 10, prior_precision=5.0, precondition=True)
    theta.square().sum().backward()
    before = theta.grad.clone()
    sampler.step()
    assert torch.equal(theta.grad, before)


def test_schedulers_closures_and_groups_work_as_in_torch():
    fast, slow = parameter(4, seed=26), parameter(4, seed=26)
    sampler = SGLD([{"params": [fast], "lr": 0.1}, {"params": [slow]}], 0.01, 1, temperature=0.0)
    scheduler = torch.optim.lr_scheduler.StepLR(sampler, 1, gamma=0.5)

    def closure():
        sampler.zero_grad()
        loss = 0.5 * (fast.square().sum() + slow.square().sum())
        loss.backward()
        return loss

    start = fast.detach().clone()
    assert float(sampler.step(closure).detach()) > 0
    torch.testing.assert_close(fast.detach(), 0.9 * start)
    torch.testing.assert_close(slow.detach(), 0.99 * start)
    scheduler.step()
    assert [group["lr"] for group in sampler.param_groups] == [0.05, 0.005]


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr": 0.0},
        {"lr": float("nan")},
        {"num_data": 0},
        {"temperature": -1.0},
        {"prior_precision": -1.0},
        {"beta2": 1.0},
    ],
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(InputError, match=next(iter(wrong))):
        SGLD([parameter(2)], **{"lr": 0.1, "num_data": 1, **wrong})


def test_low_precision_weights_are_refused():
    with pytest.raises(InputError, match="bfloat16"):
        SGLD([parameter(2, dtype=torch.bfloat16)], 0.1, 1)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("noise_device", ["cpu", "cuda"])
def test_gpu_chains_have_the_right_variance_and_resume(noise_device):
    theta = torch.nn.Parameter(torch.zeros(CHAINS, device="cuda"))
    g = torch.Generator(noise_device).manual_seed(0)
    sampler = SGLD([theta], 0.25, 10, precondition=False, generator=g)
    run(sampler, lambda: theta.square().sum(), 60)  # lam = 2
    assert float(theta.detach().var()) * 20 * 0.75 == pytest.approx(1, abs=0.12)
    sampler.load_state_dict(copy.deepcopy(sampler.state_dict()))
    run(sampler, lambda: theta.square().sum(), 1)
    assert torch.isfinite(theta).all()


# --- with the schedule, and the released rule -------------------------------------------------


def test_follows_a_schedule_and_freezes_while_sampling():
    schedule = CyclicSchedule(2, 10, lr_max=0.1, explore_fraction=0.5, temperature=2.0)
    theta = parameter(20, seed=27)
    sampler = SGLD([theta], 0.1, 100, precondition=True, generator=generator(28))
    for step in range(schedule.total_steps):
        phase = schedule.at(step)
        sampler.follow(phase)
        assert sampler.frozen is not phase.exploring
        state = sampler.generator.get_state()
        run(sampler, lambda: theta.square().sum(), 1)
        assert torch.equal(state, sampler.generator.get_state()) is phase.exploring
        assert sampler.param_groups[0]["lr"] == phase.lr
        assert sampler.param_groups[0]["temperature"] == phase.temperature
    assert sampler.state[theta]["updates"] == 10


def test_released_noise_is_two_lr_on_4d_weights_in_the_last_20_of_50_epochs():
    weight, bias = parameter(16, 16, 3, 3), parameter(16)
    locked = parameter(4, 4, 3, 3).requires_grad_(False)
    noise = ReleasedNoise([weight, bias, locked], generator=generator(29))
    noisy = [epoch for epoch in range(100) if noise.is_noisy(epoch)]
    assert noisy == [*range(30, 50), *range(80, 100)]
    assert not noise.step(1e-3, epoch=29)
    assert not weight.any()
    assert noise.step(1e-3, epoch=30)
    assert float(weight.detach().std()) == pytest.approx(2e-3, rel=0.05)
    assert not bias.any()
    assert not locked.any()


def test_released_noise_has_the_wrong_width_for_the_number_of_data():
    """Adam with the released noise: its variance hardly knows how many data there are."""
    ratios = []
    for num_data in (100, 10000):
        theta = parameter(CHAINS)
        adam = torch.optim.Adam([theta], 1e-3)
        noise = ReleasedNoise([theta], period=1, noisy=1, generator=generator(30))
        noise.params = [theta]  # one weight per chain stands for a 4-D tensor
        for _ in range(2000):
            run(adam, lambda: (0.5 * theta**2).sum(), 1)  # noqa: B023
            noise.step(1e-3, epoch=0)
        ratios.append(float(theta.detach().var()) * num_data)
    print("variance over the true one", ratios)
    assert ratios[1] / ratios[0] > 50


def test_released_noise_resumes():
    first, second = parameter(2, 2, 2, 2), parameter(2, 2, 2, 2)
    noise = ReleasedNoise([first], generator=generator(31))
    other = ReleasedNoise([second], generator=generator(32))
    other.load_state_dict(noise.state_dict())
    noise.step(0.1, 40)
    other.step(0.1, 40)
    assert torch.equal(first, second)
