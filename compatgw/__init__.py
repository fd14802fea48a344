"""compatgw."""
