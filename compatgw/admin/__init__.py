"""Management: teams, keys, plans, wallets, provider keys, and what was used."""
