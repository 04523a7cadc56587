"""TRPO, centralised: the cloud's policy sees all CSI and chooses all powers (khan2020, sec. III-B, algorithm 1).

    p[b->k] ~ N(mu, sigma^2) cut to [0, Pmax],  mu and log sigma from the gains in dB              eq. (9)
    theta' = theta + zeta^j Delta                                                                 eq. (20)-(23)
    A = R - V(s)                                                                                  deviation 1

The step is that of `schemes.parts.nn.trust_region`; turns, notes and stale rules are those of `central_learning`.
"""

from dataclasses import dataclass

from protocol.params import param
from schemes.contract import Card, Scheme
from schemes.khan2020 import PAPER
from schemes.khan2020.central_learning import OBSERVES, SENDS, CentralSettings, LearningBs, choreography, training
from schemes.parts.learner_settings import AtLeastOne, TrustRegionSettings

CARD = Card(
    name="khan2020/trpo_central",
    summary="the cloud learns one policy from all CSI to all powers by TRPO",
    citation="khan2020, sec. III-B, algorithm 1",
    paper=PAPER,
    equations="eq. (9), (18)-(23), table II",
    worlds=("downlink_cells",),
    observes=OBSERVES,
    sends=SENDS,
    deviations=(
        "1. a value network V(s) is the baseline of the advantage R - V(s); the paper fits Q(s, a). An episode is one "
        "slot, so that R is Q(s, a) itself",
        "2. a power at a bound has the probability of all draws beyond it",
        "3. gains are in dB, less the mean over own or other users' links, over the deviation",
        "4. M = 1000 episodes are those of 1000 replicas, if the run has as many",
    ),
    reproduces="fig. 6, 11, 14, 15",
)


@dataclass(frozen=True, kw_only=True)
class TrpoCentral(TrustRegionSettings, CentralSettings):
    """Table II's delta, zeta, M, gamma and networks are the defaults."""

    value_epochs: AtLeastOne = param(2, "passes of the value network over the rows", source="ours")
    value_minibatches: AtLeastOne = param(5, "parts of such a pass, an update each", source="ours")


SCHEME = Scheme(CARD, choreography, LearningBs, params=TrpoCentral, training=training, learns=True, needs=("torch",))
