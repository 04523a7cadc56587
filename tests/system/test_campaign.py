"""One fault of the campaign around a controller; the command `tests.soak.campaign` injects hundreds."""

import time
from contextlib import closing
from itertools import islice
from pathlib import Path

from tests.soak.campaign.aftermath import check_log, settle
from tests.soak.campaign.clock import JumpingClock
from tests.soak.campaign.draw import Draw
from tests.soak.campaign.kinds import KINDS
from tests.soak.campaign.ledger import Ledger
from tests.soak.campaign.plan import Planned, sequence
from tests.soak.campaign.scene import Scene, Setting
from tests.soak.campaign.signals import signal_one


def test_after_a_signal_every_run_ends_and_work_goes_on(tmp_path: Path) -> None:
    with closing(Ledger(tmp_path / "log")) as ledger:
        setting = Setting(ledger, JumpingClock(tmp_path), None, time.monotonic() + 280)
        with closing(Scene(tmp_path / "scene", setting, locked=False, resume=False)) as scene:
            scene.begin("processes", slots=1500)
            signal_one(scene, Draw(1, 1, "signals"))
            settle(scene)
            check_log(scene)
            assert scene.broken == []


def test_the_sequence_of_faults_follows_from_the_seed() -> None:
    kinds = list(KINDS)
    first, again, other = (list(islice(sequence(seed, kinds), 60)) for seed in (1, 1, 2))
    assert first == again != other
    assert [Draw(1, *fault).random() for fault in first] == [Draw(1, *fault).random() for fault in again]
    assert {fault.kind for fault in first} == set(kinds)
    assert Planned(0, kinds[0]) in first
