"""Translation between the hub and the protocols that upstreams speak. Pure: no IO, no clock, no state."""
