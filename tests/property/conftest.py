"""Examples are drawn anew on a laptop, and are the same ones for every run in continuous integration.

A change is judged by what it does, not by what was drawn; whoever works on the code finds the new examples.
"""

import os

from hypothesis import settings

settings.register_profile("laptop", deadline=None)  # a busy machine is no reason to fail
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")
