"""What protocols of messages made of blocks have in common: Anthropic's Messages and Bedrock's Converse.

Blocks of one kind each (text, pictures, reasoning, calls, results) in turns that alternate, for Claude above all. How
a protocol spells a block and what a host's models can do is the dialect's own, handed in as a small object or as data.

What does not live here: any one protocol (`dialects/anthropic/`, `dialects/bedrock/`).
"""
