"""Bridges to other people's test tools, one file each; importing this package imports none of them."""
