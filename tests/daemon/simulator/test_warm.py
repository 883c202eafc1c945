import subprocess
import sys

CODE = """
from daemon.simulator.warm import warm_up
warm_up(synthetic=True)
warm_up(synthetic=False)
from kernels import book, fills, market
kernels = (book.update, book.replace, fills.place, fills.cancel, fills.amend, fills.on_trade, fills.on_quote)
print([len(kernel.signatures) for kernel in (*kernels, fills.on_book, fills.idle, market.advance)])
"""


def test_warming_up_compiles_each_kernel_once(root):
    """In a process of its own: other tests may call a kernel as the exchange never does."""
    done = subprocess.run([sys.executable, "-c", CODE], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([1] * 10)
