"""What a verification says: one row per requirement, virtual address and interface."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from kernelbal.model.address import Address


class Verdict(StrEnum):
    """Whether a requirement is met."""

    OK = "ok"
    FAIL = "FAIL"
    SKIPPED = "skipped"
    """It could not be told; the row says why."""


class Finding(NamedTuple):
    """What a judge says of one requirement.

    Attributes:
        current: how it is now.
        fix: what to do, a command where there is one; empty unless it fails.
        interface: the device that it is about, or empty.
        because: the requirement whose fault this one follows from; empty when it is a fault of its own.
    """

    verdict: Verdict
    current: str
    fix: str = ""
    interface: str = ""
    because: str = ""


class Row(NamedTuple):
    """A finding with what it is about.

    Attributes:
        requirement: its short name.
        virtual: the virtual address.
        why: why the requirement is one.
    """

    requirement: str
    virtual: Address
    finding: Finding
    why: str


def ok(current: str, interface: str = "") -> Finding:
    """Say that a requirement is met."""
    return Finding(Verdict.OK, current, interface=interface)


def fail(current: str, fix: str, interface: str = "", because: str = "") -> Finding:
    """Say that a requirement is not met."""
    return Finding(Verdict.FAIL, current, fix, interface, because)


def skipped(current: str, interface: str = "", because: str = "") -> Finding:
    """Say why it cannot be told."""
    return Finding(Verdict.SKIPPED, current, interface=interface, because=because)
