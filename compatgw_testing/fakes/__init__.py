"""One fake server per dialect, each written from its vendor's documents and from nothing of the gateway.

`base` drives a fake (ASGI, script, faults, journal), `shape` checks JSON against a description;
each dialect has a package with its rules, its answers and its streams. They never import
another dialect's package.
"""
