"""The numbers of our advisory locks, once. Transaction locks only: a session's lock outlives its return to the pool."""

MIGRATION = 7_301_001  # one schema upgrade at a time
LOAD = 7_301_002  # one merge into the facts at a time
CLAIM = 7_301_005  # one decision at a time on who starts a job of which there is one at a time
DECIDE = 7_301_006  # one decision on a piece of advice at a time (second key: its hash)
DETECT = 7_301_004  # one detection of a scope at a time (second key: the scope's hash)
