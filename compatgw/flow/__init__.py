"""The spine: the one place where policy, upstreams and state meet. `run.py` reads like the product."""
