"""The console: the pages that operators manage a gateway with, behind a login by an admin key."""
