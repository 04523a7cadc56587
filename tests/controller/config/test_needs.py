"""What a scheme needs: torch for some that learn, nothing for others; a check loads none of it."""

import subprocess
import sys
from typing import Any

import pytest

from controller.config import resolved
from controller.config.catalogue import schemes
from controller.config.errors import ConfigError
from controller.config.resolved import load

CELL: dict[str, Any] = {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 3}, "phases": {"train": 4, "eval": 4}}
_PROGRAM = """
import sys
import airtoll
from controller.config.resolved import load
cell = {"world": {"name": "d2d_underlay", "pairs": 3, "rbs": 3}, "phases": {"warmup": 4, "train": 20, "eval": 4}}
for name in ("li2020/dqn", "li2020/ac", "li2020/maac"):
    load(cell | {"scheme": name})
for place in ("node", "trainer"):
    learns = {"name": "li2020/q_learning", "learns_at": place}
    airtoll.run(cell | {"scheme": learns, "placement": "in-process"}, folder=sys.argv[1] + place)
print("torch" in sys.modules)
"""


def test_neither_a_check_nor_a_learner_in_numpy_loads_torch(tmp_path: Any) -> None:
    program = [sys.executable, "-c", _PROGRAM, str(tmp_path / "run")]
    done = subprocess.run(program, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == "False"


def test_a_scheme_whose_library_is_missing_is_rejected_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resolved, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"li2020/dqn needs torch: pip install 'airtoll\[learn\]'"):
        load(CELL | {"scheme": "li2020/dqn"})
    assert load(CELL | {"scheme": "li2020/q_learning"}).learns


def test_agents_that_learn_have_a_time_limit_of_their_own() -> None:
    def limit_s(scheme: Any) -> float | None:
        return load(
            CELL | {"scheme": scheme, "on_node_loss": {"learner_lost_after_s": 70}}
        ).plan.loss.learner_lost_after_s

    assert limit_s("li2020/dqn") == limit_s("li2020/q_learning") == 70
    assert limit_s({"name": "li2020/dqn", "learns_at": "trainer"}) is None
    assert limit_s("li2020/random") is None


def test_only_schemes_that_learn_need_anything() -> None:
    assert {name for name, scheme in schemes().items() if scheme.needs and not scheme.learns} == set()
