"""MAPPO on local information: access points schedule by recurrent policies, from own and neighbours' queues.

    A(t) = sum_l (gamma lambda)^l (R(t+l) + gamma V(t+l+1) - V(t+l))                      eq. (19)
    L = mean max((V - G)^2, (clip(V, V_old +- eps) - G)^2)       G = A + V_old             eq. (20), deviation 1
    J = mean min(r A, clip(r, 1 - eps, 1 + eps) A) + delta mean H(pi)                      eq. (21), (22)

With `policies: separate` each agent has networks of its own and learns from its own rows alone (alg. 1), on the node or
at the trainer. With `policies: shared` one pair of networks learns from everyone's rows (eq. 23, 24), at the trainer,
which sends the same weights to all. What an agent knows and earns: `neighbourhood`; what its cell is in a world:
`local_cell`; settings and networks: `mappo_networks`. The learner: `schemes.parts.nn.ppo`.
"""

from protocol.messages.choreography import Choreography, agents_act, agents_exchange, trainer_learns
from protocol.messages.node import Welcome
from schemes.contract import Card, Join, Learner, Scheme, Send, Training
from schemes.parts.actor import Actor, Drawn
from schemes.parts.local_trainer import LocalTrainer
from schemes.parts.uploads import EverySlots, Rows
from schemes.zhang2025 import PAPER
from schemes.zhang2025.mappo_networks import Mappo, networks_of, networks_of_all
from schemes.zhang2025.neighbourhood import Neighbourhood, NeighbourhoodReward

CARD = Card(
    name="zhang2025/mappo",
    summary="recurrent policies on own and neighbours' queues, learnt by PPO: separate on the nodes, or one shared",
    citation="Zhang and Guo 2025, sec. III, alg. 1",
    paper=PAPER,
    equations="(7)-(10), (19)-(24)",
    worlds=("conflict_graph", "traffic_cells"),
    observes="X_k: of the own devices, measured, and of the neighbours', by their notes, the queue zeta [tasks], as "
    "log2(1 + zeta) and zeta / 10; in the cellular network also, of the slot before and by subband, direct gain, own "
    "power, interference and spectral efficiency (18); own queues at the end of the last slot for the reward",
    sends="neighbour: to all neighbours 2 bytes per own device and slot (26 in the cellular network), in training 4 "
    "bytes more, the backlog that their rewards need; fig. 2: 4 bytes per agent and wire, 8 in training. Separate "
    "policies that learn on the node send nothing else; at the trainer also histories and weights, see "
    "docs/reproduction/zhang2025-mappo.md",
    deviations=(
        "1. eq. (20) prints values fitted to the advantage A; they are fitted to the return A + V_old",
        "2. clip 0.2, 15 epochs, 1 minibatch, Huber loss from 10, gradient cap 10, normalised values and advantages "
        "and orthogonal first weights are the authors' code's or yu2022's; the text gives none",
        "3. inputs are log2(1 + zeta) and zeta / 10; the text leaves their scale open",
        "4. what the recurrent policy carries begins at zero with new weights, as in the paper, where networks are "
        "updated between episodes",
        "5. an episode that a queue bound cuts off is valued as if it went on from its last slot",
        "6. until its first weights arrive an agent chooses uniformly, as the first policy nearly does",
        "7. evaluation takes the most probable choices (evaluates: best) or draws; the text does not say",
    ),
    reproduces="fig. 8: separate policies 1.22 / 1.38 / 1.71 slots at loads 0.3 / 0.4 / 0.5, feed-forward, 3 seeds; "
    "see docs/reproduction/zhang2025-mappo.md",
    fallback="silent",
)


def agent(welcome: Welcome, params: Mappo) -> Actor:
    """An access point."""
    networks = networks_of(welcome, params)
    neighbourhood = Neighbourhood(networks.cell, params, networks.vector, replicas=welcome.replicas)
    local_trainer = LocalTrainer(
        lambda: networks.learner(welcome.seed, welcome.index), networks.layout, networks.rollout, updates=1
    )
    return Actor(
        welcome,
        sense=neighbourhood,
        network=networks.acting,
        behaviour=Drawn(
            networks.cell.action, networks.distribution, replicas=welcome.replicas, evaluates=params.evaluates
        ),
        rows=Rows(networks.layout, NeighbourhoodReward(neighbourhood), timeout_slots=0),
        upload_rule=EverySlots(params.upload_every_slots),
        local_trainer=local_trainer if params.learns_at == "node" else None,
        exchange=neighbourhood.exchange,
    )


def training(welcome: Welcome, params: Mappo) -> Training:
    """The trainer's side. ValueError for a shared policy of agents that have networks of different shapes."""
    everyone = networks_of_all(welcome, params)

    def learner() -> Learner:
        from schemes.parts.nn.learning import Independent, Pooled

        if params.policies == "shared":
            return Pooled(everyone[0].learner(welcome.seed, 0, len(everyone)))
        return Independent([networks.learner(welcome.seed, k) for k, networks in enumerate(everyone)])

    return Training(
        learner=learner,
        updates_per_turn=1,
        join=Join(
            how="pooled" if params.policies == "shared" else "alone",
            layouts=[networks.layout for networks in everyone],
            to_data=lambda joint: everyone[joint.agents[0]].rollout(joint),
            max_upload_interval_slots=params.upload_every_slots,
        ),
        send=Send(
            to="all" if params.policies == "shared" else "each",
            every_slots=params.push_every_slots,
            precision=params.weights,
        ),
    )


def choreography(params: Mappo) -> Choreography:
    """Neighbours exchange what they know, all act, and a trainer learns, if that is where learning happens."""
    exchange = () if params.neighbour_notes == "off" else (agents_exchange("local"),)
    learn = (trainer_learns(),) if params.learns_at == "trainer" else ()
    return Choreography((*exchange, agents_act("local"), *learn))


SCHEME = Scheme(CARD, choreography, agent, params=Mappo, training=training, learns=True, needs=("torch",))
