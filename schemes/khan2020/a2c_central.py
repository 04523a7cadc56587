"""A2C, centralised: as `trpo_central`, with steps of fixed size along the policy gradient (khan2020, fig. 9).

A2C is PPO with one pass over all rows at once: the probability ratio is 1 (huang2022).
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt

from protocol.params import param
from schemes.contract import Card, Scheme
from schemes.khan2020 import PAPER
from schemes.khan2020.central_learning import OBSERVES, SENDS, CentralSettings, LearningBs, choreography, training
from schemes.parts.learner_settings import NotNegative, OptimiserName, Positive, PpoSettings

CARD = Card(
    name="khan2020/a2c_central",
    summary="the cloud learns one policy from all CSI to all powers by A2C",
    citation="khan2020, sec. IV-A",
    paper=PAPER,
    equations="eq. (9); theta' = theta + 7e-4 E grad log pi A",
    worlds=("downlink_cells",),
    observes=OBSERVES,
    sends=SENDS,
    deviations=(
        "1. the paper gives the step alone: optimiser, entropy and cap of the gradient are those of A2C's usual code",
        "2. deviations 1 to 4 of trpo_central",
    ),
    reproduces="fig. 9",
)

_CODE = "Stable-Baselines, A2C"


@dataclass(frozen=True, kw_only=True)
class A2cCentral(PpoSettings, CentralSettings):
    """One update of both networks per iteration."""

    policy_rate: Positive = param(7e-4, "learning rate of the policy", source="khan2020, sec. IV-A")
    value_rate: Positive = param(7e-4, "learning rate of the value network", source="khan2020, sec. IV-A")
    optimiser: OptimiserName = param("rmsprop", "optimiser of both", source=_CODE)
    epochs: Annotated[int, Ge(1)] = param(1, "passes over the rows", source="A2C")
    minibatches: Annotated[int, Ge(1)] = param(1, "parts of a pass", source="A2C")
    clip_values: bool = param(False, "clip changes of values", source="A2C")
    huber_threshold: NotNegative = param(0.0, "value error from which the loss is linear; 0: square", source="A2C")
    gradient_cap: NotNegative = param(0.5, "largest norm of a gradient; 0: no cap", source=_CODE)
    rows_per_iteration: Annotated[int, Gt(0)] = param(1000, "slots x replicas before learning", source="khan2020, M")


SCHEME = Scheme(CARD, choreography, LearningBs, params=A2cCentral, training=training, learns=True, needs=("torch",))
