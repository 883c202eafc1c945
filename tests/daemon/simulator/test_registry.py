import pytest

from daemon.simulator import registry
from daemon.simulator.errors import ApiError
from daemon.simulator.order import Order
from daemon.simulator.registry import Registry


def make_order(kit, number, client_id="", status="NEW"):
    order = Order(kit.market.symbol, kit.account, number, client_id or f"c{number}", 0)
    order.status = status
    return order


def test_an_order_is_found_by_number_and_by_client_id_open_or_not(kit):
    book = Registry()
    order = make_order(kit, 1)
    book.enter(order)
    assert book.find(kit.account, "BTCUSDT", 1, "") is order
    assert book.find(kit.account, "BTCUSDT", None, "c1") is order
    book.close(order)
    assert book.open_orders(kit.account) == []
    assert book.find(kit.account, "BTCUSDT", None, "c1") is order


def test_an_order_of_another_symbol_or_account_is_not_found(kit):
    book = Registry()
    book.enter(make_order(kit, 1))
    assert book.find(kit.account, "ETHBTC", 1, "") is None
    assert book.find(object(), "BTCUSDT", 1, "") is None


def test_number_and_client_id_must_belong_together(kit):
    book = Registry()
    book.enter(make_order(kit, 1))
    with pytest.raises(ApiError) as error:
        book.find(kit.account, "BTCUSDT", 1, "c2")
    assert error.value.code == -2039


def test_the_latest_bearer_of_a_client_id_is_found(kit):
    book = Registry()
    first, second = make_order(kit, 1, "same", "CANCELED"), make_order(kit, 2, "same")
    book.enter(first)
    book.enter(second)
    assert book.bears(kit.account, "same") is second


def test_only_the_oldest_closed_orders_are_forgotten(kit, monkeypatch):
    monkeypatch.setattr(registry, "HISTORY_MAX", 3)
    book = Registry()
    book.enter(make_order(kit, 1))  # stays open
    for number in range(2, 7):
        order = make_order(kit, number)
        book.enter(order)
        order.status = "FILLED"
        book.close(order)
    assert list(book.orders) == [("BTCUSDT", 1), ("BTCUSDT", 5), ("BTCUSDT", 6)]
    assert book.bears(kit.account, "c2") is None
    assert book.bears(kit.account, "c1") is book.orders["BTCUSDT", 1]
