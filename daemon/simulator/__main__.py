"""`python -m daemon.simulator`: the simulated exchange as a process of its own."""

import sys

from daemon.kernel_cache import activate

if __name__ == "__main__":
    activate()
    from daemon.simulator.process import main

    sys.exit(main())
