"""The way of one packet through a director, decision by decision, as the kernel takes it.

`engine.explain` answers a `query.ExplainQuery` from a `query.View`: the live kernel, or what a site file
would make of one.
"""
