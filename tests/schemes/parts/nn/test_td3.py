"""TD3: losses of several agents against plain loops over numpy networks, delays, targets, restarts."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from protocol.determinism.snapshots import pack, unpack
from schemes.parts.critic_inputs import CriticInputs, all_agents, own_agent
from schemes.parts.learner_settings import Td3Settings
from schemes.parts.nn.store import snapshot_module
from schemes.parts.nn.td3 import Critic, Td3Learner
from schemes.parts.numpy_nets import Architecture, Network
from schemes.parts.numpy_nets.architecture import Activation, Linear, mlp
from schemes.parts.replay import Minibatch, Transitions

N, S, A, B = 3, 2, 2, 5
SETTINGS = Td3Settings(batch=B, replay_capacity=100, discount=0.9, tau=0.25)
POLICY = Architecture(S, (Linear(6), Activation("relu"), Linear(A), Activation("tanh")))
FORMS = [
    pytest.param(own_agent(N), False, 0, id="independent"),
    pytest.param(all_agents(N), False, 0, id="maddpg"),
    pytest.param(own_agent(N), True, 4, id="td3-mix"),
]


def learner(known: CriticInputs, shared: bool, mixing_units: int) -> Td3Learner:
    settings = replace(SETTINGS, shared=shared, mixing_units=mixing_units)
    value = mlp(len(known[0]) * (S + A), (6,), Linear(1))
    it = Td3Learner(settings, policy=POLICY, value=value, critic_inputs=known, seed=1)
    it.add(transitions())
    it.learn(3)
    return it


def transitions(first_slot: int = 0) -> Transitions:
    rng = np.random.default_rng(first_slot)
    states, actions = (rng.uniform(-1, 1, (t, 1, N, w)).astype(np.float32) for t, w in ((21, S), (20, A)))
    return Transitions(states, actions, rng.standard_normal((20, 1, N)).astype(np.float32), first_slot)


def minibatch() -> Minibatch:
    rng = np.random.default_rng(5)
    states, following = rng.standard_normal((2, B, N, S)).astype(np.float32)
    actions = rng.uniform(-1, 1, (B, N, A)).astype(np.float32)
    alive = rng.integers(2, size=B).astype(np.float32)
    return Minibatch(
        states, actions, rng.standard_normal((B, N)).astype(np.float32), following, alive, np.ones((B, N), bool)
    )


def plain_q(critic: Critic, known: CriticInputs, states: np.ndarray, actions: list[np.ndarray]) -> list[float]:
    """Each critic's value in one row, or the mixed one. `actions`: per critic [N, A], as it sees them."""
    values = []
    for i, seen in enumerate(known):
        net = critic.values.of(i)
        x = np.concatenate([*[states[j] for j in seen], *[actions[i][j] for j in seen]])[None]
        values.append(float(Network(net.architecture, net.arrays())(x.astype(np.float32))[0, 0]))
    if critic.mixing is None:
        return values
    with torch.no_grad():
        return [float(critic.mixing(torch.tensor([values]), torch.tensor(states.reshape(1, -1))))]


def plain_policy(it: Td3Learner, states: np.ndarray, *, target: bool = False) -> np.ndarray:
    policies = it.target_policies if target else it.policies
    nets = [policies.of(i) for i in range(N)]
    return np.stack([Network(net.architecture, net.arrays())(s[None])[0] for net, s in zip(nets, states, strict=True)])


@pytest.mark.parametrize(("known", "shared", "mixing_units"), FORMS)
def test_losses_equal_plain_loops(known: CriticInputs, shared: bool, mixing_units: int) -> None:
    it, batch = learner(known, shared, mixing_units), minibatch()
    noise = np.random.default_rng(2).standard_normal((B, N, A)).astype(np.float32) * 4  # some beyond the clip
    squares, gains = [], []
    for b in range(B):
        smoothing = np.clip(0.2 * noise[b], -0.5, 0.5)
        ahead_actions = np.clip(plain_policy(it, batch.next_states[b], target=True) + smoothing, -1, 1)
        ahead = [plain_q(c, known, batch.next_states[b], [ahead_actions] * N) for c in critics(it.target_critics)]
        rewards = [float(batch.rewards[b].mean())] if mixing_units else batch.rewards[b].tolist()
        for i, reward in enumerate(rewards):
            y = reward + 0.9 * float(batch.not_terminal[b]) * min(q[i] for q in ahead)
            online = [plain_q(c, known, batch.states[b], [batch.actions[b]] * N) for c in critics(it.critics)]
            squares += [(q[i] - y) ** 2 for q in online]
        chosen = plain_policy(it, batch.states[b])
        seen = [np.where(np.arange(N)[:, None] == i, chosen, batch.actions[b]) for i in range(N)]
        gains += plain_q(critics(it.critics)[0], known, batch.states[b], seen)
    loss, _ = it.value_loss(batch, torch.tensor(noise))
    assert float(loss.detach()) == pytest.approx(2 * np.mean(squares), rel=1e-4)
    assert float(it.policy_loss(batch).detach()) == pytest.approx(-np.mean(gains), rel=1e-4)


def critics(modules: torch.nn.ModuleList) -> list[Critic]:
    return [module for module in modules if isinstance(module, Critic)]


def test_policies_and_targets_move_every_second_update() -> None:
    it = learner(own_agent(N), False, 0)  # after 3 updates, the next is due
    names = ("policies", "target_policies", "target_critics")
    modules = (it.policies, it.target_policies, it.target_critics)
    for moves in (True, False, True):
        before = dict(zip(names, map(snapshot_module, modules), strict=True))
        critic = pack(snapshot_module(it.critics))
        it.learn(1)
        assert pack(snapshot_module(it.critics)) != critic
        for name, module in zip(names, modules, strict=True):
            assert (pack(snapshot_module(module)) != pack(before[name])) == moves
        if moves:
            for name, now in snapshot_module(it.target_critics).items():
                online = snapshot_module(it.critics)[name]
                np.testing.assert_allclose(now, 0.75 * before["target_critics"][name] + 0.25 * online, atol=1e-6)


def test_the_policy_loss_moves_an_agents_policy_by_its_own_critic_alone() -> None:
    it, batch = learner(all_agents(N), False, 0), minibatch()
    own = it.critics[0](
        torch.tensor(batch.states), torch.tensor(batch.actions), it.policies(torch.tensor(batch.states))
    )
    parameters = list(it.policies.of(1).parameters())
    whole = torch.autograd.grad(it.policy_loss(batch), parameters)
    alone = torch.autograd.grad(-own[:, 1].mean() / N, parameters)
    for one, other in zip(whole, alone, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(("known", "shared", "mixing_units"), FORMS)
def test_a_loaded_learner_continues_bit_by_bit(known: CriticInputs, shared: bool, mixing_units: int) -> None:
    whole, loaded = learner(known, shared, mixing_units), learner(known, shared, mixing_units)
    loaded.learn(2)
    whole.learn(1)
    loaded.load(unpack(pack(whole.save())))
    for each in (whole, loaded):
        each.add(transitions(20))
        each.learn(3)
    assert pack(whole.save()) == pack(loaded.save())


def test_sizes_that_do_not_fit_are_rejected() -> None:
    with pytest.raises(ValueError, match="expected 4 and 1"):
        Td3Learner(SETTINGS, policy=POLICY, value=mlp(5, (), Linear(1)), critic_inputs=own_agent(N), seed=1)
