"""All kits of a scheme or a world, one after the other."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from airtoll.testing import laws, locality, resampling, schemes, worlds
from controller.config.catalogue import scheme_named, world_named, worlds_of
from controller.config.resolved import load
from protocol.messages.plan import RunPlan

EPISODE_SLOTS = (1, 2, 10)
_IMPAIRED: dict[str, Any] = {"all": {"delay_slots": 1, "loss": 0.1, "ack": {"delay_slots": 0}}}
_SAVED_SLOT = 13


def check_scheme(
    name: str,
    *,
    world: str | Mapping[str, Any] | None = None,
    params: Mapping[str, Any] | None = None,
    slots: int = 30,
) -> None:
    """Run a scheme through every kit that needs one process: card, notes, locality, both laws, checkpoints, replicas,
    impaired signalling, episodes of 1, 2 and 10 slots.

    `world`: its name, or name and parameters; by default the first of the card. `params`: of the scheme; give small
    networks to one that learns. `slots`: of each run, at least 20; a scheme that learns has a fifth of them for warmup
    and half for training, and must have learnt from some rows by then. AssertionError at the first broken rule;
    ConfigError if world, scheme and parameters make no run.
    """
    plan = _plan(name, world, params, slots)
    late = replace(plan, signalling=_plan(name, world, params, slots, signalling=_IMPAIRED).signalling)
    card = scheme_named(name).card
    schemes.check_card(card)
    schemes.check_views_and_reports(plan)
    schemes.check_sends(plan, card)
    for each in (plan, late, replace(plan, replicas=2)):
        locality.check_measurements(each)
        locality.check_inboxes(each)
        laws.check_one_trace(each)
        laws.check_books(each)
        laws.check_resumes(each, _SAVED_SLOT)
    for episode_slots in EPISODE_SLOTS:
        laws.check_resumes(replace(plan, replicas=2, episode_slots=episode_slots), _SAVED_SLOT)
        if scheme_named(name).learns:
            laws.check_learns_from_every_slot(replace(plan, replicas=2), episode_slots, saved_at=slots * 7 // 10)


def check_world(
    name: str,
    *,
    params: Mapping[str, Any] | None = None,
    scheme: str = "ours/random",
    scheme_params: Mapping[str, Any] | None = None,
) -> None:
    """Check a world by itself (documentation, spaces, reports, snapshots, locality, drawing, memory), and a run of
    `scheme` in it through `check_scheme`.

    AssertionError at the first broken rule; ConfigError if the parameters are impossible.
    """
    entry, plan = world_named(name), _plan(scheme, {"name": name, **(params or {})}, scheme_params, 20)
    chosen: Any = msgspec.convert(plan.world_params, entry.params)
    worlds.check_documented(entry)
    for replicas in (1, 2):
        built = entry.build(chosen, seed=1, replicas=replicas)
        worlds.check_spaces(built, replicas)
        worlds.check_measured_alone(built)
        worlds.check_reports(built, replicas)
        worlds.check_snapshots(built)
        worlds.check_drawing(built)
        worlds.check_memory(entry, chosen, replicas)
    resampling.check_resampling(entry.build(chosen, seed=1, replicas=1))
    check_scheme(scheme, world={"name": name, **(params or {})}, params=scheme_params)


def check_placements(
    name: str, *, world: str | Mapping[str, Any] | None = None, params: Mapping[str, Any] | None = None, slots: int = 30
) -> None:
    """First law with real processes: one process, and one per node, give the same trace. It takes seconds."""
    laws.check_processes(_plan(name, world, params, slots))


def _plan(
    name: str, world: str | Mapping[str, Any] | None, params: Mapping[str, Any] | None, slots: int, **settings: Any
) -> RunPlan:
    scheme = scheme_named(name)
    chosen = world if world is not None else worlds_of(scheme)[0]
    length: dict[str, Any] = {"slots": slots}
    if scheme.learns:
        phases = {"warmup": slots // 5, "train": slots // 2, "eval": slots - slots // 5 - slots // 2}
        length = {"phases": phases, "train_delay_slots": 3}
    described = {"name": name, **(params or {})}
    return load({"world": chosen, "scheme": described, **length, **settings}).plan_for("check")
