"""Expected total rewards of random choices, of rules in equilibrium and of rules for the total, by closed form.

    python reproduction/li2020/ceilings.py > reproduction/li2020/results/ceilings.csv

For every reading of the world, number of pairs and drop: what `random`, `local_nash` and `local_team` expect per slot,
without a run. What team has over Nash is all that learning together can add where each pair acts on its own gains;
`room` is that, in percent. About ten minutes on one core.
"""

import csv
import sys
from collections.abc import Iterator

from protocol.determinism import threads

threads.pin()

import msgspec  # noqa: E402

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay  # noqa: E402
from schemes.li2020.index_rules import RuleSearch  # noqa: E402
from schemes.li2020.local_rules import Drop  # noqa: E402

READINGS: dict[str, dict[str, float | str]] = {
    "128.1 dB": {"d2d_intercept_db": 128.1},
    "148 dB": {"d2d_intercept_db": 148.0},
    "128.1 dB, 46 dBm per RB": {"d2d_intercept_db": 128.1, "bs_power_split": "per_rb"},
    "148 dB, 46 dBm per RB": {"d2d_intercept_db": 148.0, "bs_power_split": "per_rb"},
}
PAIRS = (10, 30, 50)
SEEDS = (1, 2, 3)
COLUMNS = ("reading", "pairs", "seed", "random", "local_nash", "local_team", "room_percent")


def expected(params: D2DUnderlay, seed: int) -> Iterator[float]:
    """The expected total of random choices, of the equilibrium, and of the rules for the total, in bit/s/Hz."""
    world = WORLD.build(params, seed=seed, replicas=1)
    known = world.static_info(0) | world.privileged_info()  # type: ignore[attr-defined]
    search = RuleSearch(msgspec.convert(known, Drop).mean_powers(0), "own_gain")
    yield float(search.expected_rewards().sum())
    search.settle("own_reward")
    yield float(search.expected_rewards().sum())
    search.settle("total")
    yield float(search.expected_rewards().sum())


def main() -> None:
    """Print the table, a line as soon as it is known."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS)
    for reading, settings in READINGS.items():
        for pairs in PAIRS:
            for seed in SEEDS:
                params = msgspec.convert(settings | {"pairs": pairs}, D2DUnderlay)
                random, nash, team = expected(params, seed)
                numbers = [f"{value:.2f}" for value in (random, nash, team, 100 * (team / nash - 1))]
                table.writerow([reading, pairs, seed, *numbers])
                sys.stdout.flush()


if __name__ == "__main__":
    main()
