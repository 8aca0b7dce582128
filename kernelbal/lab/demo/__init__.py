"""The demo: plays every example on a real kernel and claims only what it has counted.

`play` runs inside a lab back end and says what happens as a stream of events (`events`); `outside` starts it
and hands the events on to whoever shows them.
`claims` judges: pure functions from evidence to a verdict.
"""
