"""What critics know: the states and actions of all agents in MAAC and MADDPG, of the nearest in NAAC, of one alone.

`Gates`: which products of the own action and the own state join them.
"""

from collections.abc import Sequence

CriticInputs = tuple[tuple[int, ...], ...]  # per critic the agents it knows, its own first
Gates = tuple[tuple[int, ...], ...]  # [G, A]: entry a of the own action is multiplied by input [g, a] of the own state


def own_agent(agents: int) -> CriticInputs:
    """Independent critics: critic i knows agent i alone."""
    return nearest_agents([()] * agents)


def all_agents(agents: int) -> CriticInputs:
    """MAAC: critic i knows agent i, then all others. li2020 eq. (14)"""
    return tuple((i, *(j for j in range(agents) if j != i)) for i in range(agents))


def nearest_agents(nearest: Sequence[Sequence[int]]) -> CriticInputs:
    """NAAC: critic i knows agent i, then the agents `nearest[i]`. li2020 eq. (20)"""
    return tuple((i, *others) for i, others in enumerate(nearest))


def check_critic_inputs(critic_inputs: CriticInputs) -> None:
    """ValueError unless every critic knows as many agents as the others, its own first and none twice."""
    if len({len(known) for known in critic_inputs}) != 1:
        raise ValueError("critics are stacked: each must know as many agents as the others")
    if any(known[0] != i or len(set(known)) != len(known) for i, known in enumerate(critic_inputs)):
        raise ValueError("critic_inputs[i] must begin with i and name no agent twice")


def check_gates(gates: Gates, *, inputs: int, n_actions: int) -> None:
    """ValueError unless each of the gates names an input of the own state for every action."""
    if any(len(gate) != n_actions or not all(0 <= which < inputs for which in gate) for gate in gates):
        raise ValueError(f"each of the gates {gates} must name one of {inputs} inputs for each of {n_actions} actions")
