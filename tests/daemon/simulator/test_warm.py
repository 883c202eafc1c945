from daemon.simulator.warm import warm_up
from kernels import book, fills


def test_warming_up_compiles_each_kernel_once():
    warm_up(synthetic=True)
    warm_up(synthetic=False)
    kernels = (
        book.update,
        book.replace,
        fills.place,
        fills.cancel,
        fills.amend,
        fills.on_trade,
        fills.on_quote,
    )
    assert [len(kernel.signatures) for kernel in (*kernels, fills.on_book, fills.idle)] == [1] * 9
