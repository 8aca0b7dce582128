"""Verification of a prepared real server: what is read, what is asked, and the judgement of it."""
