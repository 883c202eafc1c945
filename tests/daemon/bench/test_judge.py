from daemon.bench.judge import COUNT, Judge
from kernels.limits import check
from kernels.reconcile import reconcile


def test_every_judgement_is_of_one_order_that_passes():
    taken = Judge(seed=5).measure()
    assert taken.shape == (COUNT,)
    assert (taken > 0).all()


def test_it_measures_the_kernels_that_trade():
    Judge(seed=5)
    assert "Literal" not in str([reconcile.signatures, check.signatures])
