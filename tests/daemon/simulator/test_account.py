import pytest

from daemon.simulator.account import Account
from daemon.simulator.errors import ApiError
from daemon.simulator.rates import Limits
from daemon.simulator.symbols import UNIT


@pytest.fixture
def account():
    return Account("main", {"USDT": 100 * UNIT}, 50_000, 100_000, Limits())


def test_locking_moves_free_to_locked_and_never_more_than_there_is(account):
    account.lock("USDT", 60 * UNIT)
    balance = account.balance("USDT")
    assert (balance.free, balance.locked) == (40 * UNIT, 60 * UNIT)
    with pytest.raises(ApiError) as error:
        account.lock("USDT", 41 * UNIT)
    assert error.value.code == -2010
    account.unlock("USDT", 60 * UNIT)
    assert (balance.free, balance.locked) == (100 * UNIT, 0)


def test_a_fill_pays_from_what_is_locked_and_frees_the_rest(account):
    account.lock("USDT", 60 * UNIT)
    account.spend("USDT", 60 * UNIT, 55 * UNIT)
    balance = account.balance("USDT")
    assert (balance.free, balance.locked) == (45 * UNIT, 0)


def test_commission_is_taken_from_what_is_received_by_role(account):
    assert account.receive("BTC", UNIT, is_maker=True) == 50_000
    assert account.receive("BTC", UNIT, is_maker=False) == 100_000
    assert account.balance("BTC").free == 2 * UNIT - 150_000


def test_unlocking_what_is_not_locked_is_a_bug(account):
    with pytest.raises(AssertionError):
        account.unlock("USDT", 1)


def test_the_view_lists_balances_and_can_leave_zeros_out(account):
    account.balance("ETH")
    assert [row["asset"] for row in account.view(1, omit_zero=False)["balances"]] == ["USDT", "ETH"]
    assert [row["asset"] for row in account.view(1, omit_zero=True)["balances"]] == ["USDT"]
    assert account.view(1, omit_zero=True)["takerCommission"] == 10


def test_a_deposit_adds_to_what_is_free(account):
    account.deposit("USDT", -30 * UNIT)
    assert account.balance("USDT").free == 70 * UNIT
