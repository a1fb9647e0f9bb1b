"""The HTTP service: renders what coordinator and shards know; owns no state of its own."""
