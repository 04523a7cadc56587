"""Which agents' states and actions each critic knows: all in MAAC and MADDPG, the nearest in NAAC, its own alone."""

from collections.abc import Sequence

CriticInputs = tuple[tuple[int, ...], ...]  # per critic the agents it knows, its own first


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
