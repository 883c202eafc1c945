from daemon.simulator.order import Order
from daemon.simulator.reporter import Reporter
from daemon.simulator.symbols import UNIT


def test_executions_are_numbered_and_told_to_the_orders_account(kit):
    reporter, told = Reporter(), []
    reporter.emit = lambda account, event: told.append((account, event))
    order = Order(kit.market.symbol, kit.account, 1, "c", 0)
    reporter.order(order, "NEW", 0)
    reporter.order(order, "CANCELED", 0, original="c")
    assert [(account, event["I"], event["x"]) for account, event in told] == [
        ("main", 1, "NEW"),
        ("main", 2, "CANCELED"),
    ]


def test_positions_list_the_touched_assets_by_name(kit):
    reporter, told = Reporter(), []
    reporter.emit = lambda account, event: told.append(event)
    reporter.position(kit.account, {"USDT", "BTC"}, 5_000_000)
    assert told == [
        {
            "e": "outboundAccountPosition",
            "E": 5,
            "u": 5,
            "B": [
                {"a": "BTC", "f": "10.00000000", "l": "0.00000000"},
                {"a": "USDT", "f": "100000.00000000", "l": "0.00000000"},
            ],
        }
    ]
    assert kit.account.updated_ns == 5_000_000


def test_a_transfer_is_a_balance_update(kit):
    reporter, told = Reporter(), []
    reporter.emit = lambda account, event: told.append(event)
    reporter.transfer(kit.account, "BTC", -UNIT, 5_000_000)
    assert told == [{"e": "balanceUpdate", "E": 5, "a": "BTC", "d": "-1.00000000", "T": 5}]
