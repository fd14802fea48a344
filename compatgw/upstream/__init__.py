"""The way out: the only folder that opens connections to upstreams."""
