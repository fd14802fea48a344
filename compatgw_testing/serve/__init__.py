"""`compatgw-testing serve`: the fakes as a server of their own, for applications in any language.

`steps` reads scripts from JSON and TOML, `admin` is the HTTP interface to scripts and journals, `command` the
sub-command. What does not live here: the fakes (`fakes/`), the socket (`server.py`).
"""
