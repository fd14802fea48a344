"""What looks at texts on their way in and out: guardrails, as pure code.

`base.py` says what a guardrail is, `pipeline.py` leads requests and answers through several of them.
"""
