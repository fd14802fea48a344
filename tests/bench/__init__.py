"""The benchmark: the gateway beside a bare relay and beside no proxy, in interleaved rounds.

`python -m tests.bench` compiles the upstream and the load generator, starts everything on free
loopback ports, pins it to cores, and prints tables. It asserts nothing: two machines agree on
ratios, never on times.
"""
