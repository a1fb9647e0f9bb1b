"""Plain-Python twins of the kernels: the same answers, one item at a time, no speed."""
