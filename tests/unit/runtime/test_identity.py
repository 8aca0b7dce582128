"""Becoming a user takes its user and group, and drops every other group; being that user takes nothing."""

import os
import pwd

import pytest

from kernelbal.runtime import identity
from kernelbal.runtime.identity import Identity, identity_of


def test_another_user_has_no_group_but_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = pwd.getpwnam("nobody")
    monkeypatch.setattr(os, "geteuid", lambda: entry.pw_uid + 1)
    assert identity_of("nobody") == Identity(entry.pw_uid, entry.pw_gid, [])


def test_the_user_that_we_are_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identity.os, "geteuid", lambda: pwd.getpwnam("nobody").pw_uid)
    assert identity_of("nobody") == Identity()


def test_unknown_user_is_told() -> None:
    with pytest.raises(KeyError):
        identity_of("no-such-user")
