"""Second law: the wire book is what TCP carried, and its notes are the air book's."""

from collections import Counter
from pathlib import Path

import pytest

from controller.config.catalogue import schemes
from protocol.accounting.wire_book import totals
from tests.conformance.homes import home_plan
from tests.impairments import MODELS, fits
from tests.recording import Recording, assert_same_trace, in_process
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
    plan = home_plan(scheme, schemes()[scheme].card.worlds[0], slots=40, signalling=MODELS.get(model, "ideal"))
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
    assert recording.toll == in_process(plan).toll


@pytest.mark.parametrize("scheme", IN_PROCESSES)
def test_both_books_close_on_encrypted_connections(scheme: str, tmp_path: Path) -> None:
    """Encrypted connections do not show their node, so accounts and connections are matched by their sizes."""
    plan = home_plan(scheme, schemes()[scheme].card.worlds[0], slots=40)
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
    """Up the wire: each node's distinct notes. Down the wire: the copies delivered to it."""
    assert recording.ended is not None
    accounts = {account.peer: account for account in recording.ended.wire}
    assert not any(account.undelivered_notes for account in accounts.values())
    sent, sent_bytes, received, received_bytes = (Counter[int]() for _ in range(4))
    by_some = 0  # copies of broadcasts that some did not receive; the book does not name them
    for row in recording.air:
        sent[row.source] += row.attempt > 0 and not row.repeated
        sent_bytes[row.source] += row.note_bytes if row.attempt and not row.repeated else 0
        if 0 < row.copies < len(row.to):
            by_some += row.copies
        elif row.copies:
            received.update(dict.fromkeys(row.to, row.copies // len(row.to)))
            received_bytes.update(dict.fromkeys(row.to, row.copies // len(row.to) * row.note_bytes))
    assert sum(account.down.notes for account in accounts.values()) == received.total() + by_some
    for index, name in enumerate(names):
        account = accounts[name]
        assert (account.up.notes, account.up.note_bytes) == (sent[index], sent_bytes[index])
        assert account.down.notes >= received[index]
        if not by_some:
            assert (account.down.notes, account.down.note_bytes) == (received[index], received_bytes[index])
