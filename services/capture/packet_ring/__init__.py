"""The packet ring's writing end: pages that a kernel fills, a thread that appends them to segments,
and packets read back for a shard that was lost."""
