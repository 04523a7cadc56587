"""Orders for a run that goes on: each taken up once, in their order, and there until it is answered."""

from pathlib import Path

import pytest

from controller.run_folder.orders import MAX_WAITING, Orders, TooManyOrdersError
from protocol.messages.orders import Order, PutWeights, ReportWeights
from protocol.messages.telemetry import OrderDone


def test_they_are_taken_up_once_and_stay_until_they_are_answered(tmp_path: Path) -> None:
    launcher, process = Orders(tmp_path), Orders(tmp_path)
    assert list(process.taken_up()) == []
    given: list[Order] = [ReportWeights(Orders.new_id()), PutWeights(Orders.new_id(), "pair-0", b"weights")]
    for order in given:
        launcher.give(order)
    assert list(process.taken_up()) == given
    assert list(process.taken_up()) == []
    process.answered(OrderDone(given[0].id))
    assert [launcher.waits(order.id) for order in given] == [False, True]
    process.take_again()
    assert list(process.taken_up()) == given[1:]
    process.close()
    assert not launcher.waits(given[1].id)


def test_there_may_not_be_too_many(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    ids = [Orders.new_id() for _ in range(MAX_WAITING)]
    for number in ids:
        orders.give(ReportWeights(number))
    with pytest.raises(TooManyOrdersError, match="16 orders wait for this run already; come again later"):
        orders.give(ReportWeights(Orders.new_id()))
    orders.take_back(ids[0])
    orders.give(ReportWeights(Orders.new_id()))
