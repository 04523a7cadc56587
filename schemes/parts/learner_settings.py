"""The settings of every learner in `schemes.parts.nn`: a scheme's parameters inherit their fields.

Nodes read them too and load no torch. What the networks look like is an `Architecture`, which acting nodes need as
well. Defaults are those of the algorithm's paper or reference code; a scheme gives its own paper's.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from protocol.params import param

OptimiserName = Literal["adam", "rmsprop"]
Discount = Annotated[float, Ge(0), Le(1)]
Share = Annotated[float, Gt(0), Le(1)]
Positive = Annotated[float, Gt(0)]
NotNegative = Annotated[float, Ge(0)]
AtLeastOne = Annotated[int, Ge(1)]


@dataclass(frozen=True, kw_only=True)
class TabularQSettings:
    """Tabular Q-learning: watkins1992."""

    rate: Share = param(0.1, "learning rate", source="ours")
    discount: Discount = param(0.99, "gamma", source="ours")
    centre_rewards: bool = param(False, "learn from rewards less their mean so far", source="naik2024")


@dataclass(frozen=True, kw_only=True)
class DqnSettings:
    """Deep Q-learning: mnih2015. Dueling is a head of the architecture."""

    rate: Positive = param(1e-3, "learning rate", source="ours")
    optimiser: OptimiserName = param("adam", "optimiser", source="ours")
    discount: Discount = param(0.99, "gamma", source="mnih2015")
    double: bool = param(True, "choose the next action by the online network", source="hasselt2016")
    huber_threshold: NotNegative = param(1.0, "error from which the loss is linear; 0: square", source="mnih2015")
    batch: AtLeastOne = param(32, "transitions per update", source="mnih2015")
    replay_capacity: AtLeastOne = param(1_000_000, "transitions kept, oldest dropped", source="mnih2015")
    centre_rewards: bool = param(False, "learn from rewards less their mean so far", source="naik2024")
    tau: Share = param(1.0, "share of the online network that the target takes; 1: a copy", source="mnih2015")
    target_every: AtLeastOne = param(500, "updates between two moves of the target", source="ours")
    gradient_cap: NotNegative = param(10.0, "largest norm of a gradient; 0: no cap", source="ours")


@dataclass(frozen=True, kw_only=True)
class RecurrentDqnSettings(DqnSettings):
    """Deep Q-learning of networks with memory, from sequences: kapturowski2019, zero start state with burn-in."""

    batch: AtLeastOne = param(32, "sequences per update", source="ours")
    sequence_slots: AtLeastOne = param(80, "learnt slots of a sequence", source="kapturowski2019")
    burn_in_slots: Annotated[int, Ge(0)] = param(
        40, "slots before them, for the carried state", source="kapturowski2019"
    )


@dataclass(frozen=True, kw_only=True)
class PpoSettings:
    """Proximal policy optimisation: schulman2017, zhang2025 eq. (19)-(22). With `epochs` 1 and `minibatches` 1
    it is A2C: the ratio is 1 and its gradient the policy gradient (huang2022)."""

    policy_rate: Positive = param(3e-4, "learning rate of the policy", source="ours")
    value_rate: Positive = param(3e-4, "learning rate of the value network", source="ours")
    optimiser: OptimiserName = param("adam", "optimiser of both", source="ours")
    optimiser_epsilon: Positive = param(1e-5, "added to the optimisers' divisor", source="yu2022, code")
    discount: Discount = param(0.99, "gamma", source="ours")
    trace_decay: Discount = param(0.95, "lambda of the advantages", source="zhang2025, table")
    clip: Positive = param(0.2, "largest change of the probability ratio, and of normalised values", source="yu2022")
    clip_values: bool = param(True, "clip changes of values too", source="zhang2025 eq. (20)")
    huber_threshold: NotNegative = param(10.0, "value error from which the loss is linear; 0: square", source="yu2022")
    entropy_weight: NotNegative = param(0.01, "weight of the entropy", source="zhang2025, table")
    epochs: AtLeastOne = param(10, "passes over the rows", source="ours")
    minibatches: AtLeastOne = param(1, "parts of a pass, an update each", source="yu2022")
    sequence_slots: AtLeastOne = param(64, "slots through which gradients flow back", unit="slot", source="zhang2025")
    rows_per_iteration: AtLeastOne = param(2000, "slots x replicas x agents before learning", source="ours")
    gradient_cap: NotNegative = param(10.0, "largest norm of a gradient; 0: no cap", source="yu2022")
    normalise_values: bool = param(True, "learn values of mean 0 and deviation 1", source="yu2022")
    normalise_advantages: bool = param(True, "advantages of mean 0 and deviation 1", source="yu2022")


@dataclass(frozen=True, kw_only=True)
class TrustRegionSettings:
    """Trust region policy optimisation: khan2020 eq. (18)-(23), after schulman2015."""

    max_kl: Positive = param(0.01, "delta, largest mean divergence of a step", unit="nat", source="khan2020 eq. (23)")
    backtracking: Annotated[float, Gt(0), Lt(1)] = param(0.9, "zeta, factor per shorter step", source="khan2020 (21)")
    max_backtracks: AtLeastOne = param(50, "shorter steps tried before none is taken", source="ours")
    fisher: Literal["scores", "divergence"] = param(
        "scores", "Fisher matrix: mean outer product of scores, or Hessian of the divergence", source="khan2020 (19)"
    )
    damping: NotNegative = param(0.01, "added to the Fisher matrix's diagonal", source="ours")
    cg_iterations: AtLeastOne = param(10, "of the conjugate gradient", source="schulman2015")
    value_rate: Positive = param(1e-3, "learning rate of the value network (Adam)", source="ours")
    value_epochs: AtLeastOne = param(5, "passes of the value network over the rows", source="ours")
    value_minibatches: AtLeastOne = param(10, "parts of such a pass, an update each", source="ours")
    discount: Discount = param(0.99, "gamma", source="khan2020")
    trace_decay: Discount = param(0.95, "lambda of the advantages", source="ours")
    sequence_slots: AtLeastOne = param(64, "slots through which gradients flow back", unit="slot", source="ours")
    rows_per_iteration: AtLeastOne = param(1000, "slots x replicas x agents before learning", source="khan2020, M")
    normalise_values: bool = param(True, "learn values of mean 0 and deviation 1", source="ours")


@dataclass(frozen=True, kw_only=True)
class Td3Settings:
    """Twin delayed deterministic policy gradient: fujimoto2018; for several agents wong2021 alg. 1. With
    `target_noise` 0 and `policy_every` 1 it is DDPG with twin critics, and with critics of all agents MADDPG's."""

    policy_rate: Positive = param(1e-3, "learning rate of the policies (Adam)", source="wong2021")
    value_rate: Positive = param(1e-3, "learning rate of critics and mixing (Adam)", source="wong2021")
    discount: Discount = param(0.99, "gamma", source="wong2021")
    tau: Share = param(0.005, "soft update of the targets", source="fujimoto2018")
    batch: AtLeastOne = param(16, "transitions per update", source="wong2021")
    replay_capacity: AtLeastOne = param(1_000_000, "transitions kept, oldest dropped", source="fujimoto2018")
    centre_rewards: bool = param(False, "learn from rewards less their mean so far", source="naik2024")
    target_noise: NotNegative = param(0.2, "deviation of the noise on target actions", source="fujimoto2018")
    noise_clip: NotNegative = param(0.5, "largest noise on target actions", source="fujimoto2018")
    policy_every: AtLeastOne = param(2, "updates of critics per update of policies", source="fujimoto2018")
    shared: bool = param(True, "one policy and one pair of critics for all agents", source="wong2021")
    mixing_units: Annotated[int, Ge(0)] = param(
        32, "width of QMIX; 0: agents' values are not mixed", source="rashid2018"
    )
