"""The forms of market data that `tickd convert` reads: a module each, and one table of them (table.py)."""
