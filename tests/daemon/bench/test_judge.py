from daemon.bench.judge import COUNT, Judge


def test_every_judgement_is_of_one_order_that_passes():
    taken = Judge(seed=5).measure()
    assert taken.shape == (COUNT,)
    assert (taken > 0).all()
