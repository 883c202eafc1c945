"""`python -m daemon.bench exchange|peer ...`: the bench's other processes."""

import sys

from daemon.kernel_cache import activate

if __name__ == "__main__":
    activate()
    if sys.argv[1:2] == ["exchange"]:
        from daemon.bench.exchange import main
    else:
        from daemon.bench.peer import main
    from daemon.errors import TickdError

    try:
        sys.exit(main(sys.argv[2:]))
    except TickdError as error:
        sys.stderr.write(f"tickd: {error}\n")
        sys.exit(error.exit_code)
