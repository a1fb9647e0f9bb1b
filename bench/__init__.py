"""Measurements: what flowmate costs, beside what others cost."""
