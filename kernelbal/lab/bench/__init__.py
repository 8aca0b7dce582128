"""Benchmarks on a lab's kernel: how long a whole site takes, beside the programs that people use today.

`outside` starts a fresh kernel and collects, `__main__` measures inside it, `verdict` judges the figures.
"""
