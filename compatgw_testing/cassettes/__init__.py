"""Cassettes: answers of real servers on file, chunk by chunk, and applications that give them again.

`format.py` has the file, `scrub.py` what may be in it, `match.py` which request gets which answer, `record.py` and
`replay.py` the two applications, `session.py` the cassette of one test, `command.py` the command line. What does not
live here: the conversion from and to vcrpy (`ext/`), the fixture (`plugin.py`).
"""
