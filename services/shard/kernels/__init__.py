"""The shard's compiled loops: flow table, TCP, content log, inspection, events."""
