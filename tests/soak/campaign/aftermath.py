"""What must hold after every fault: the service answers, runs end as they may, work goes on, and nothing is left."""

import json
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import psutil

from controller.run_folder.reader import RunFolder
from controller.run_folder.status import RunStatus
from tests.soak.campaign.scene import API, FINAL, Scene
from tests.soak.campaign.works import Work, trace_alone

ANSWERS_WITHIN_S = 5.0
ENDS_WITHIN_S = 45.0  # on an idle machine; a run of a campaign takes ten
CANARY_WITHIN_S = 30.0
_CONFIG_WORKER = "anyio.to_process"  # in its command line
_CANARIES = ("canary", "pooled canary")
_MORE_DESCRIPTORS = 24  # than before: those of the database's pool, and of idle connections
_MORE_MB = 300.0
_MORE_PEAK_MB = 1000.0
_NODES = ("pair-", "ap", "trainer", "channel server")


def settle(scene: Scene) -> None:
    """Wait until everything is as it should be after a fault, and note what is not."""
    if not _answers(scene):
        return
    check_log(scene)
    _wait_for_ends(scene, scene.works, ENDS_WITHIN_S)
    for work in scene.works:
        _check_end(scene, work)
    scene.replace_lost_workers()
    _check_canaries(scene)
    ready = scene.request("GET", "/readyz")
    if ready.status != 200:
        scene.broke(f"/readyz: {ready.status} {ready.body[:200].decode(errors='replace')}")
    _check_recorded(scene)
    _delete(scene)
    _check_processes(scene)
    _check_resources(scene)


def check_log(scene: Scene) -> None:
    """The service's log has no traceback."""
    for error in scene.service.new_tracebacks():
        scene.broke(f"traceback in the service's log: {error}")


def _answers(scene: Scene) -> bool:
    """/healthz answers in time, and the process is alive."""
    if not scene.service.is_alive:
        scene.broke(f"the service died: exit code {scene.service.process.returncode}")
        return False
    limit_s = scene.limit_s(ANSWERS_WITHIN_S)
    answer = scene.service.request("GET", "/healthz", timeout_s=limit_s)
    if answer.status != 200:
        scene.broke(f"/healthz within {limit_s:.0f} s after the fault: {answer.status} {answer.body[:100]!r}")
    return answer.status == 200


def _wait_for_ends(scene: Scene, works: list[Work], seconds: float) -> None:
    """Wait until all have ended, or until nothing has changed for so long: a busy machine is slow, not wedged."""
    seen: list[tuple[Any, Any]] = []

    def ended_or_moved() -> bool:
        now = [(run.get("state"), run.get("slot")) for run in map(scene.show, works)]
        moved = now != seen
        seen[:] = now
        return moved or all(state in (*FINAL, None) for state, _ in now)

    while scene.until(ended_or_moved, seconds) and not all(state in (*FINAL, None) for state, _ in seen):
        pass


def _check_end(scene: Scene, work: Work) -> None:
    """A run ended as it may, with the trace that it has alone."""
    answer = scene.request("GET", f"{API}/runs/{work.id}")
    if answer.status == 404 and work.may_vanish:
        return
    if answer.status != 200:
        scene.broke(f"run {work.name!r}: GET answers {answer.status}")
        return
    run = json.loads(answer.body)
    state, reason = run["state"], run["reason"]
    if state not in FINAL:
        scene.broke(f"run {work.name!r} never ends: it is {state} at slot {run['slot']}: {reason!r}")
    elif state not in work.ends:
        scene.broke(f"run {work.name!r} is {state}: {reason!r}")
    elif state == "FAILED" and not reason:
        scene.broke(f"run {work.name!r} is FAILED without a reason")
    elif state == "SUCCEEDED" and work.is_repeatable and run["trace_digest"] != trace_alone(work.config):
        scene.broke(f"run {work.name!r} has another trace than alone")
    elif not work.tampered:
        _check_folder(scene, work, run)


def _check_folder(scene: Scene, work: Work, run: dict[str, Any]) -> None:
    """The folder of a run that has ended agrees with the index."""
    try:
        status, meta = RunStatus.read(scene.run_folder(work)), RunFolder.open(scene.run_folder(work)).meta
    except (OSError, ValueError, TypeError) as error:
        scene.broke(f"run {work.name!r} is {run['state']}, and its folder cannot be read: {error}")
        return
    if status is not None and (status.state.value, status.slot) != (run["state"], run["slot"]):  # None: never started
        scene.broke(f"run {work.name!r} is {run['state']} at slot {run['slot']}, its status file has {status}")
    if meta.state.value != run["state"]:
        scene.broke(f"run {work.name!r} is {run['state']}, its meta.json says {meta.state.value}")


def _check_recorded(scene: Scene) -> None:
    """A run that ended long ago is what it was."""
    run = scene.recorded
    answer = scene.request("GET", f"{API}/runs/{run['id']}") if run else None
    if answer and (answer.status != 200 or json.loads(answer.body) != run):
        scene.broke(f"a run that had ended before the fault has changed: {answer.status} {answer.body[:200]!r}")


def _check_canaries(scene: Scene) -> None:
    """The next run of each placement ends in time, as it does alone."""
    works = [scene.until(partial(scene.submit, name), CANARY_WITHIN_S) for name in _CANARIES]
    if None in works:
        scene.broke("after the fault: no run can be submitted")
        return
    _wait_for_ends(scene, works, CANARY_WITHIN_S)
    for work in works:
        _check_end(scene, work)


def _delete(scene: Scene) -> None:
    """Delete every run but the first canary, which is recorded."""
    if not scene.recorded and not scene.broken:
        scene.recorded = scene.show(scene.works.pop())
    for work in scene.works:
        if scene.ended(work):
            answer = scene.request("DELETE", f"{API}/runs/{work.id}")
            if answer.status != 204:
                scene.broke(f"run {work.name!r} cannot be deleted: {answer.status} {answer.body[:200]!r}")
    scene.works.clear()


def _check_processes(scene: Scene) -> None:
    """No process is left but the service, what checks configurations for it, its workers, and what these keep."""
    if not scene.until(lambda: not list(_left(scene)), 15):
        scene.broke(f"processes left: {', '.join(_left(scene))}")


def _left(scene: Scene) -> Iterator[str]:
    workers = {worker.process.pid for worker in scene.workers}
    kept = {scene.service.pid} | workers
    for process in scene.processes():
        with suppress(psutil.Error):
            of_worker = bool(workers & {parent.pid for parent in process.parents()})
            checks_configurations = process.ppid() == scene.service.pid and _CONFIG_WORKER in process.cmdline()
            name = process.name()
            if process.pid not in kept and not checks_configurations and (not of_worker or name.startswith(_NODES)):
                yield f"{name} ({process.pid})"


def _check_resources(scene: Scene) -> None:
    """The service holds no more descriptors and hardly more memory than before."""
    allowed = scene.descriptors + _MORE_DESCRIPTORS
    if not scene.until(lambda: scene.resources()[0] <= allowed, 15):
        scene.broke(f"the service has {scene.resources()[0]} open descriptors, {scene.descriptors} when it started")
    memory_mb = scene.resources()[1]
    if memory_mb > scene.memory_mb + _MORE_MB:
        scene.broke(f"the service has {memory_mb:.0f} MB, {scene.memory_mb:.0f} MB when it started")
    if scene.service.peak_mb > scene.memory_mb + _MORE_PEAK_MB:
        scene.broke(f"the service had {scene.service.peak_mb:.0f} MB once, {scene.memory_mb:.0f} MB when it started")
