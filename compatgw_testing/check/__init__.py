"""The scorecard: how well any server keeps to OpenAI's chat protocol on the wire.

    compatgw-testing check http://127.0.0.1:8000/v1 --key sk-...

`scorecard.py` has all assertions and the run, `probe.py` the requests, `report.py` what is
printed, `command.py` the command. What does not live here: scripts, fakes, gateways.
"""
