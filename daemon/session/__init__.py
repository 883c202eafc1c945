"""A session on the record: what the trading core was told and what it read, and the replay that proves it.

recording.py   the seams of a core whose every input is noted, in the order in which it is processed
entries.py     what is noted, as bytes
player.py      the same core, told the same again
checker.py     the journal that its records are held to
difference.py  the first difference, in words
verify.py      `tickd replay --verify`
"""
