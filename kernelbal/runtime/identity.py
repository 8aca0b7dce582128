"""As whom the programs of a site run: check scripts and hooks."""

from __future__ import annotations

import os
import pwd
from typing import NamedTuple


class Identity(NamedTuple):
    """What `subprocess.Popen` takes to become a user; None: stay who we are."""

    user: int | None = None
    group: int | None = None
    extra_groups: list[int] | None = None


def identity_of(user: str) -> Identity:
    """Return the identity of a user, with no group but its own; ours when we are that user.

    Raises:
        KeyError: there is no such user.
    """
    entry = pwd.getpwnam(user)
    if entry.pw_uid == os.geteuid():
        return Identity()
    return Identity(entry.pw_uid, entry.pw_gid, [])
