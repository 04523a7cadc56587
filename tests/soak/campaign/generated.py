"""Requests generated from the OpenAPI document, alone and in sequences in which later ones use earlier answers."""

import json
from functools import partial

from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import API, FINAL, Scene
from tests.system.fuzz import fuzz, fuzz_sequences

_EXAMPLES, _SEQUENCES, _STEPS = 4, 8, 6


def generated_requests(scene: Scene, rng: Draw) -> str:
    """Send some to each operation, or some sequences; answers must conform to the document. What they draw, hypothesis
    draws."""
    scene.recorded = {}  # it may be deleted
    url, token = scene.service.url, scene.service.token
    for work in scene.works:
        work.allow("STOPPED")
        work.may_vanish = True
    alone = rng.variant((True, False))
    try:
        if alone:
            operations = fuzz(url, scene.works[0].id, examples=_EXAMPLES, token=token)
            scene.ledger.count("bad inputs", operations * _EXAMPLES)
        else:
            fuzz_sequences(url, examples=_SEQUENCES, steps=_STEPS, token=token)
            scene.ledger.count("bad inputs", _SEQUENCES * _STEPS)
    finally:
        _remove_others(scene)
    return f"{_EXAMPLES} requests to each operation" if alone else f"{_SEQUENCES} sequences"


def _remove_others(scene: Scene) -> None:
    """Stop the runs that a generated request has submitted, and resume those that one has paused."""
    answer = scene.request("GET", f"{API}/runs?limit=100")
    known = {work.id for work in scene.works}
    for run in json.loads(answer.body)["runs"] if answer.status == 200 else ():
        path = f"{API}/runs/{run['id']}"
        if run["id"] in known and run["state"] == "PAUSED":
            scene.request("POST", f"{path}/resume")
        elif run["id"] not in known and run["state"] not in FINAL:
            scene.request("POST", f"{path}/stop")
            scene.until(partial(_is_gone, scene, path), 30)


def _is_gone(scene: Scene, path: str) -> bool:
    return scene.request("DELETE", path).status in (204, 404)
