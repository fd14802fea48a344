"""The soak runs: whole gateway processes on one PostgreSQL and one Redis, under load, killed and cut off.

`python -m tests.soak` starts everything on free loopback ports and sockets, prints figures, and says of
each claim whether it held. It takes minutes and is no part of the default test run.
"""
