"""Checks that concern several values of a site at once; `table` lists them."""
