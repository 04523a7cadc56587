"""Injects faults into a live controller with runs at work, for minutes or hours, and counts what held and what broke.

The sequence of faults follows from the seed. After each fault the service must answer, every run must end as the fault
allows, one that the fault does not concern with the trace that it has alone, and the next runs must succeed; no
process, descriptor or memory may be left. A table is printed every minute and at the end; exit code 1 if anything
broke. The file of --log has one JSON line per fault.

    python -m tests.soak.campaign --minutes 60 --seed 1 --store sqlite
    python -m tests.soak.campaign --minutes 60 --seed 1 --store postgresql --kinds "signals,disk full"
    python -m tests.soak.campaign --seed 1 --store sqlite --fault "3 disk full"      one fault of a sequence again
"""

from protocol.determinism import threads

threads.pin()

import argparse  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
import traceback  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from contextlib import ExitStack, closing  # noqa: E402
from itertools import pairwise  # noqa: E402
from pathlib import Path  # noqa: E402
from tempfile import TemporaryDirectory  # noqa: E402

from tests.postgres import postgres_server  # noqa: E402
from tests.soak.campaign.aftermath import ANSWERS_WITHIN_S, check_log, settle  # noqa: E402
from tests.soak.campaign.clock import JumpingClock  # noqa: E402
from tests.soak.campaign.draw import Draw  # noqa: E402
from tests.soak.campaign.kinds import KINDS  # noqa: E402
from tests.soak.campaign.ledger import Ledger  # noqa: E402
from tests.soak.campaign.plan import Planned, sequence  # noqa: E402
from tests.soak.campaign.probe import probing  # noqa: E402
from tests.soak.campaign.scene import LeftOutError, OutOfTimeError, Scene, Setting  # noqa: E402

OVERTIME_S = 90.0  # for what the last fault waits for
_TABLE_EVERY_S = 60.0
_FAULTS_PER_SCENE = 8


def main() -> int:
    """Inject faults until the time is up; 1 if anything broke."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended by SIGTERM"))  # and unmount, and kill all processes
    options = _options()
    planned = iter([_parsed(options.fault)]) if options.fault else sequence(options.seed, options.kinds.split(","))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="airtoll-campaign-")))
        ledger = stack.enter_context(closing(Ledger(options.log)))
        server = stack.enter_context(postgres_server()) if options.store == "postgresql" else None
        ends_at = time.monotonic() + 60 * options.minutes + OVERTIME_S
        campaign = Campaign(options, Setting(ledger, JumpingClock(folder), server, ends_at), folder)
        stack.callback(campaign.close)
        campaign.run(planned)
        campaign.close()
        print(ledger.table(), flush=True)
        return int(ledger.anything_broke)


class Campaign:
    """Injects planned faults into scenes; a scene in which something broke, or that is old, is replaced."""

    def __init__(self, options: argparse.Namespace, setting: Setting, folder: Path) -> None:
        self._options, self._setting, self._folder = options, setting, folder
        self._scene: Scene | None = None
        self._scenes = self._faults = 0
        self._scene_options: dict[str, bool] = {}
        self._printed_at = time.monotonic()

    def run(self, planned: Iterator[Planned]) -> None:
        """Until the time is up."""
        for fault in planned:
            if time.monotonic() > self._setting.ends_at - OVERTIME_S:
                return
            try:
                self._inject(fault)
            except LeftOutError as error:
                self._setting.ledger.leave_out(fault.kind, str(error))
            except OutOfTimeError:
                print(f"fault {fault.round} {fault.kind} was not judged: the time is up")
                return
            if time.monotonic() - self._printed_at > _TABLE_EVERY_S:
                self._printed_at = time.monotonic()
                print(self._setting.ledger.table(), flush=True)

    def close(self) -> None:
        """Close the scene."""
        if self._scene is not None:
            self._scene.close()
            self._scene = None

    def _inject(self, fault: Planned) -> None:
        """Inject a fault, wait for its aftermath, and record what broke."""
        rng, kind = Draw(self._options.seed, fault.round, fault.kind), KINDS[fault.kind]
        scene, times, description = self._ready(fault), [time.monotonic()], ""
        works = rng.sample(kind.works, min(2, len(kind.works)))
        try:
            scene.begin(*works)
            scene.measure()
            times.append(time.monotonic())
            with probing(scene, ANSWERS_WITHIN_S, deaf=kind.deaf):
                description = kind.inject(scene, rng)
            times.append(time.monotonic())
            settle(scene)
        except LeftOutError:
            scene.works.clear()  # they end by themselves
            raise
        except OutOfTimeError:
            if not scene.broken:
                raise
        except Exception as error:  # of the campaign itself, or of what it leads to: to be looked at in either case
            traceback.print_exc()
            scene.broke(f"{type(error).__name__}: {error}")
        check_log(scene)
        times.append(time.monotonic())
        self._record(fault, scene, description, works, [round(b - a, 1) for a, b in pairwise(times)])

    def _ready(self, fault: Planned) -> Scene:
        """The present scene, or a new one."""
        if self._faults == _FAULTS_PER_SCENE or fault.scene_options != self._scene_options:
            self.close()
        if self._scene is None:
            self._scenes, self._faults, self._scene_options = self._scenes + 1, 0, fault.scene_options
            self._scene = Scene(self._folder / str(self._scenes), self._setting, **fault.scene_options)
        self._faults += 1
        return self._scene

    def _record(self, fault: Planned, scene: Scene, description: str, works: list[str], seconds: list[float]) -> None:
        title = f"{fault.round} {fault.kind}"
        more = {"round": fault.round, "did": description, "works": works, "seconds": seconds}
        more |= {"locked": scene.locked, "resume": scene.resume, "measured_s": round(scene.measured_s, 3)}
        self._setting.ledger.fault(fault.kind, scene.broken, **more)
        print(f"{'BROKE' if scene.broken else 'held '} {title}: {description} ({sum(seconds):.0f} s)", flush=True)
        if scene.broken:
            print("\n".join(f"      {line}" for line in scene.broken))
            store, seed = self._options.store, self._options.seed
            print(f'      python -m tests.soak.campaign --store {store} --seed {seed} --fault "{title}"', flush=True)
            self.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m tests.soak.campaign", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    parser.add_argument("--kinds", default=",".join(KINDS), help=f"default: all ({', '.join(KINDS)})")
    parser.add_argument("--fault", default="", metavar="'ROUND KIND'", help="inject this fault of the sequence only")
    parser.add_argument("--log", type=Path, default=Path("campaign.jsonl"), help="default: campaign.jsonl")
    options = parser.parse_args()
    kinds = [_parsed(options.fault).kind] if options.fault else options.kinds.split(",")
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        parser.error(f"no kind is named {unknown[0]!r}; known: {', '.join(KINDS)}")
    return options


def _parsed(fault: str) -> Planned:
    number, _, kind = fault.partition(" ")
    return Planned(int(number), kind)


if __name__ == "__main__":
    sys.exit(main())
