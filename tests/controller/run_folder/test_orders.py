"""Orders for a run that goes on: each taken up once, in their order, and there until it is answered."""

from pathlib import Path

import pytest

from controller.run_folder.orders import MOST_WAITING, Orders, TooManyOrdersError
from protocol.messages.orders import Order, PutWeights, TellWeights
from protocol.messages.telemetry import Answered


def test_they_are_taken_up_once_and_stay_until_they_are_answered(tmp_path: Path) -> None:
    owner, keeper = Orders(tmp_path), Orders(tmp_path)
    assert list(keeper.taken_up()) == []
    given: list[Order] = [TellWeights(Orders.new_id()), PutWeights(Orders.new_id(), "pair-0", b"weights")]
    for order in given:
        owner.give(order)
    assert list(keeper.taken_up()) == given
    assert list(keeper.taken_up()) == []
    keeper.answered(Answered(given[0].id))
    assert [owner.waits(order.id) for order in given] == [False, True]
    keeper.take_up_again()
    assert list(keeper.taken_up()) == given[1:]
    keeper.close()
    assert not owner.waits(given[1].id)


def test_there_may_not_be_too_many(tmp_path: Path) -> None:
    orders = Orders(tmp_path)
    ids = [Orders.new_id() for _ in range(MOST_WAITING)]
    for number in ids:
        orders.give(TellWeights(number))
    with pytest.raises(TooManyOrdersError, match="16 orders wait for this run already; come again later"):
        orders.give(TellWeights(Orders.new_id()))
    orders.take_back(ids[0])
    orders.give(TellWeights(Orders.new_id()))
