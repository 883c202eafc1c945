"""From ticks to approved actions: what live, paper, replay and backtest all run.

    tick(mem, i, kind, wire_ns, a, b, c, d)                        every tick, in order
    drain(decide, mem, nodes, roots, bits, now_ns, why) -> n       once per drain; mem["actions"][0, :n] say what to do

`mem` is an array of length 1 of kernels.dtypes.memory_dtype, `i` the instrument's row in it; `nodes`, `roots` and
`bits` are the model of kernels.forest, EMPTY without one. `decide` is a numba dispatcher, or a first-class function of
strategies.base.DECIDE_TYPE. A plain Python `decide` runs between the two halves:

    prepare(mem, nodes, roots, bits, now_ns)
    wanted = decide(now_ns, why, rows, book, position, working, account, state, params, out)
    n = finish(mem, wanted, now_ns)

n >= 0 counts the actions; each has its X_REFUSAL. n < 0 is one of kernels.reconcile's FAULT_*: the strategy broke its
contract, nothing is to be sent, and it must not be asked again.
"""
