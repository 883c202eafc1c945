"""From an approved intention to its last fill.

How the parts are put together, at start-up and in a replay alike:

    history = read_history(disk, folder)                    reader.py    raises JournalError; cuts a torn tail
    ids = Ids(prefix, next_run(history.run_last, clock.now_ns()))        ids.py
    journal = Journal(disk, worker, folder, sync="group", group_ms=100, digest=False)
    desks = [Desk(index, name, instruments, memory), ...]   desk.py      a strategy's slots and array views
    portfolio = Portfolio(instruments, desks, reporting="USDT")
    risk = Risk(RiskLimits(...), instruments, desks, journal, observers)
    orders = Orders(clock, scheduler, ids, instruments, desks, portfolio, risk, journal, venue, observers,
                    OrderRules(answer_ns=...))              manager.py, doubts.py
    recovery = Recovery(orders)
    recovery.restore(history)                               journal -> state; every open order is UNKNOWN
    recovery.begin(__version__, config_text, boot)        a new segment: run number and whole state
    await journal.sync_now()                                durable before the first order (not in a replay)
    await venue.start(sink)
    differences = recovery.meet(await venue.snapshot(recovery.since_ns))  adopts, applies, asks; again after
                                                            each reconnect and every so often
    journal_task = create_task(journal.run())               the group fdatasync loop; Journal.close() ends it
    orders.close()                                          at the end, before the journal: no timer is left

In a drain, all of it synchronous, `now_ns` being the wire_ns of the drain's last frame:

    for action in memory["actions"][0][:n].tolist():        plain ints, columns X_*
        verdict = risk.check(desk, action, now_ns)          Approved | Refused
        if type(verdict) is Approved:
            orders.submit(verdict)                          journal first, then the venue; any verb

    orders.apply(report)                                    every ExecutionReport of the venue
    portfolio.mark(instrument, mid)                         when a mid has moved
    risk.watch(portfolio, now_ns)                           new day; kill switch on daily loss and drawdown;
                                                            alarm while not portfolio.worth.known
    orders.save_baseline(now_ns)                            once a second

Gates close to orders that add risk, per instrument or for all, and Risk writes them into each desk's memory:

    risk.close(instrument, GATE_STALE_FEED), risk.open(instrument, GATE_STALE_FEED), risk.gate(instrument)
    risk.close_all(GATE_VENUE_DOWN), risk.open_all(GATE_VENUE_DOWN), risk.set_ready(desk, ready)
    risk.open_all(GATE_NOT_READY)                           everything begins closed
    orders.command(command, now_ns)                         halt, resume, stop, and flatten but for its prices
    orders.halt(source, reason), orders.resume(source), risk.halted
    cancel_all(orders, now_ns)                              all but protective stops
    withdraw(orders, now_ns)                                ten times a second, while nothing should stand
    close_position(orders, desk, row, worst_ticks, now_ns)  for flatten
    orders.venue_status(status)                             closes VENUE_DOWN; Recovery.meet opens it again,
                                                            with a snapshot asked for after the venue came up
    orders.doubts.ask_snapshot = lambda: ...                spawn a task: meet(await venue.snapshot(since_ns))

Nothing here awaits but Journal.run and Journal.sync_now; nothing reads a clock but through the seam.
"""
