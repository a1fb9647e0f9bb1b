"""Patterns in the content of streams: compiled, looked for as content comes, kept, told."""
