"""Storage behind two protocols: the ledger (durable, transactional) and the counters (fast, shared, losable)."""
