"""Second law: the wire book is what TCP carried, and its notes are the air book's."""

from pathlib import Path

import pytest

from airtoll.testing import laws
from controller.config.catalogue import schemes, worlds_of
from protocol.accounting.wire_book import totals
from protocol.messages.plan import RunPlan
from tests.conformance.homes import home_plan
from tests.impairments import MODELS, fits
from tests.recording import Recording, assert_same_trace, in_process
from tests.shared_policy import WORLDS, install, shared_plan
from tests.system.counting_relay import CountingRelay
from tests.system.processes import nothing, play
from tests.tiers import IN_PROCESSES

SENDING = [name for name in IN_PROCESSES if schemes()[name].card.sends != "nothing"]
IMPAIRED = [
    *((scheme, "all of it") for scheme in SENDING),
    *(("li2020/greedy_central", model) for model in MODELS),
    *(("zhang2025/q_csma", model) for model in MODELS if fits(model, "conflict_graph")),
]


@pytest.mark.parametrize(
    ("scheme", "model"), [*((scheme, "ideal") for scheme in IN_PROCESSES), *dict.fromkeys(IMPAIRED)]
)
def test_both_books_close(scheme: str, model: str) -> None:
    _check_books(home_plan(scheme, worlds_of(schemes()[scheme])[0], slots=40, signalling=MODELS.get(model, "ideal")))


@pytest.mark.parametrize("scheme", ["li2020/maac", "zhang2025/llq", "zhang2025/q_csma"])
def test_both_books_close_with_replicas(scheme: str) -> None:
    """The air is charged for one of them, but the notes of both books are those of all."""
    _check_books(home_plan(scheme, worlds_of(schemes()[scheme])[0], slots=40, replicas=3))


@pytest.mark.parametrize("model", ["ideal", "all of it"])
@pytest.mark.parametrize("cloud_link", WORLDS)
def test_both_books_close_when_weights_go_to_many_in_one_note(
    cloud_link: str, model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch)
    _check_books(shared_plan(cloud_link, slots=40, signalling=MODELS.get(model, "ideal")))


def _check_books(plan: RunPlan) -> None:
    """Play a run in processes whose connections pass a relay that counts; compare what it counted with the books."""
    with CountingRelay() as relay:
        recording = play(plan, nothing, route=relay.endpoint)
    assert recording.ended is not None
    accounts = {account.peer: account for account in recording.ended.wire}
    names = list(plan.nodes)
    assert sorted(accounts) == sorted(names)
    for name in names:
        [counted] = relay.of(name)
        account = accounts[name]
        assert (counted.up, counted.down) == (account.up.socket_bytes, account.down.socket_bytes)
        assert account.undelivered_bytes == 0
    _check_notes(recording, names)
    sums = totals(recording.ended.wire)
    assert sums.socket_bytes == sum(c.up + c.down for c in relay.connections)
    here = in_process(plan)
    assert_same_trace(here, recording)
    assert (recording.air, recording.toll) == (here.air, here.toll)


@pytest.mark.parametrize("scheme", IN_PROCESSES)
def test_both_books_close_on_encrypted_connections(scheme: str, tmp_path: Path) -> None:
    """Encrypted connections do not show their node, so accounts and connections are matched by their sizes."""
    plan = home_plan(scheme, worlds_of(schemes()[scheme])[0], slots=40)
    with CountingRelay() as relay:
        recording = play(plan, nothing, route=relay.endpoint, keys=tmp_path / "keys")
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.dropped) == ("SUCCEEDED", {})
    names = list(plan.nodes)
    assert not any(relay.of(name) for name in names), "a name went over the wire in the clear"
    booked = sorted((account.up.socket_bytes, account.down.socket_bytes) for account in recording.ended.wire)
    assert booked == sorted((counted.up, counted.down) for counted in relay.connections)
    _check_notes(recording, names)
    assert_same_trace(recording, in_process(plan))


def _check_notes(recording: Recording, names: list[str]) -> None:
    """The notes that the wire book counts are those of the air book."""
    assert recording.ended is not None
    accounts = {account.peer: account for account in recording.ended.wire}
    assert not any(account.undelivered_notes for account in accounts.values())
    carried = {
        name: laws.CarriedNotes(a.up.notes, a.up.note_bytes, a.down.notes, a.down.note_bytes)
        for name, a in accounts.items()
    }
    laws.check_notes(recording.air, names, carried)
