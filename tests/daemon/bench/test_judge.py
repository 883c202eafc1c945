from numba import njit

from daemon.bench.judge import COUNT, Judge, judge
from kernels.limits import check
from kernels.reconcile import reconcile


def test_every_judgement_is_of_one_order_that_passes():
    taken = Judge(seed=5).measure()
    assert taken.shape == (COUNT,)
    assert (taken > 0).all()


def test_it_measures_the_kernels_that_trade():
    memory = Judge(seed=5)._memory
    njit(judge.py_func)(memory, 0, 1)  # compiled now, and not found in the cache: what it calls shows below
    called = [reconcile.signatures, check.signatures]
    assert all(called)
    assert "Literal" not in str(called)
