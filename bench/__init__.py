"""Benchmarks on a lab's kernel, beside the programs that people use today; no part of the wheel.

`outside` boots a fresh kernel and collects the samples; `apply` (how long a whole site takes) and `health`
(what checks cost) are measured inside it, and their `verdict` compares the figures with the targets.
"""
