"""Orders for a run that goes on: each is taken once, in order, and is pending until it is done."""

from pathlib import Path

import pytest

from controller.run_folder.orders import MAX_PENDING, Orders, TooManyOrdersError
from protocol.messages.orders import Order, ReportWeights, UploadWeights
from protocol.messages.telemetry import OrderDone


def test_orders_are_taken_once_and_are_pending_until_they_are_done(tmp_path: Path) -> None:
    launcher, process = Orders(tmp_path), Orders(tmp_path)
    assert list(process.take()) == []
    given: list[Order] = [ReportWeights(Orders.new_id()), UploadWeights(Orders.new_id(), "pair-0", b"weights")]
    for order in given:
        launcher.give(order)
    assert list(process.take()) == given
    assert list(process.take()) == []
    process.done(OrderDone(given[0].id))
    assert [launcher.is_pending(order.id) for order in given] == [False, True]
    process.take_again()
    assert list(process.take()) == given[1:]
    process.close()
    assert not launcher.is_pending(given[1].id)


def test_pending_orders_are_limited(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    ids = [Orders.new_id() for _ in range(MAX_PENDING)]
    for number in ids:
        orders.give(ReportWeights(number))
    with pytest.raises(TooManyOrdersError, match="16 orders are pending for this run; try again later"):
        orders.give(ReportWeights(Orders.new_id()))
    orders.withdraw(ids[0])
    orders.give(ReportWeights(Orders.new_id()))
