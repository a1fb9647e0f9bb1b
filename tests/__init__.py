"""Tests of flowmate."""
