"""The learners of khan2020's schemes, which load torch: one policy that acts for all BSs, or one that all share."""

from schemes.khan2020.policy import Algorithm, PolicySettings, policy_of, powers_of, value_of
from schemes.parts.nn.actor_critic import ActorCritic
from schemes.parts.nn.learning import Pooled, Together
from schemes.parts.nn.on_policy import OnPolicyLearner
from schemes.parts.rollout import Rollout


class CentralLearner(Together[Rollout]):
    """Of a policy that sees all CSI and chooses all powers. `updates`: iterations done, the policy's version."""

    def __init__(self, learner: OnPolicyLearner) -> None:
        super().__init__(learner)
        self._on_policy = learner

    @property
    def updates(self) -> int:
        return self._on_policy.updates

    @property
    def nets(self) -> ActorCritic:
        """Policy and value network."""
        return self._on_policy.improvement.nets


def central(algorithm: Algorithm, settings: PolicySettings, *, gains: int, powers: int, seed: int) -> CentralLearner:
    """From `gains` to `powers`, all of the network."""
    return CentralLearner(_learner(algorithm, settings, gains, gains, powers, seed))


def shared(
    algorithm: Algorithm, settings: PolicySettings, *, inputs: int, critic_inputs: int, powers: int, seed: int
) -> Pooled[Rollout]:
    """Of one BS's policy, from everyone's rows; the value network sees more than the policy."""
    return Pooled(_learner(algorithm, settings, inputs, critic_inputs, powers, seed))


def _learner(
    algorithm: Algorithm, settings: PolicySettings, inputs: int, critic_inputs: int, powers: int, seed: int
) -> OnPolicyLearner:
    return OnPolicyLearner(
        algorithm,
        policy=policy_of(settings, inputs, powers),
        distribution=powers_of(powers),
        value=value_of(settings, critic_inputs),
        seed=seed,
    )
