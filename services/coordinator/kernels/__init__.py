"""The coordinator's compiled loops: inventory, text search, JSONL lines."""
