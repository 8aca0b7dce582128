"""Names that a user types; importing this costs nothing."""

from __future__ import annotations

from enum import StrEnum


class BackendName(StrEnum):
    """Which back end to use."""

    AUTO = "auto"
    NETNS = "netns"
    UML = "uml"
    QEMU = "qemu"
