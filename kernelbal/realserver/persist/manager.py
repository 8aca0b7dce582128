"""Who brings a preparation back at boot, and where its files are."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Final, NamedTuple, Protocol

SYSCTL_FILE: Final = "/etc/sysctl.d/99-zz-kernelbal-realserver.conf"
"""Read last, also after `/etc/sysctl.conf` (`99-sysctl.conf`): an old line there would let ARP answer."""
MODULES_FILE: Final = "/etc/modules-load.d/kernelbal-realserver.conf"
TABLES_FILE: Final = "/etc/kernelbal-realserver.nft"
UNIT: Final = "kernelbal-realserver.service"
UNIT_IF_LOADED: Final = f"{UNIT}*"
"""A pattern: `systemctl stop` accepts one that fits no unit, and refuses a unit that is not loaded."""
UNITS_DIRECTORY: Final = "/etc/systemd/system"
UNIT_FILE: Final = f"{UNITS_DIRECTORY}/{UNIT}"
WANTED_FILE: Final = f"{UNITS_DIRECTORY}/multi-user.target.d/kernelbal-realserver.conf"
"""Has the same effect as the link that `systemctl enable` makes, and is a file like all others."""
NETWORKD_DIRECTORY: Final = "/etc/systemd/network"
NETWORKD_FILE: Final = f"{NETWORKD_DIRECTORY}/10-kernelbal-realserver.network"
NETWORKD_DROP_IN: Final = "kernelbal-realserver.conf"
KEYFILE_DIRECTORY: Final = "/etc/NetworkManager/system-connections"
PROFILE: Final = "kernelbal-realserver"
KEYFILE: Final = f"{KEYFILE_DIRECTORY}/{PROFILE}.nmconnection"
INTERFACES_FILE: Final = "/etc/network/interfaces.d/kernelbal-realserver"

PLAIN_MODE: Final = 0o644
PRIVATE_MODE: Final = 0o600


class Manager(Enum):
    """Who configures a host's network at boot."""

    NETWORKD = "networkd"
    NETWORKMANAGER = "networkmanager"
    IFUPDOWN = "ifupdown"
    UNIT = "unit"
    """A unit of systemd that calls `ip` and `nft`, beside whatever configures the network."""
    NONE = "none"
    """Nobody: what is done is gone after the next boot."""


class Render(Protocol):
    """Fills a template in, as `kernelbal.render.render` does."""

    def __call__(self, name: str, /, **values: object) -> str:
        """Return the template `name` with `values`."""


def file_mode(path: str) -> int:
    """Return the permissions of a file: NetworkManager ignores a keyfile that others may read."""
    return PRIVATE_MODE if path.startswith(f"{KEYFILE_DIRECTORY}/") else PLAIN_MODE


def drop_in_directory(path: str) -> str:
    """Return the directory of a drop-in, which is of no use when it is empty; empty for other files."""
    directory = path.rpartition("/")[0]
    return directory if directory.rpartition("/")[0] in (UNITS_DIRECTORY, NETWORKD_DIRECTORY) else ""


class Notification(NamedTuple):
    """How those who read our files are notified of a change.

    Attributes:
        commands: in their order, up to the first that fails.
        hint: the remedy when one does.
        at_boot: whether the next boot does not bring everything back then.
    """

    commands: tuple[tuple[str, ...], ...]
    hint: str
    at_boot: bool = False


_RELOAD: Final = ("systemctl", "daemon-reload")
_START: Final = ("systemctl", "start", UNIT)
_UNIT_FAILS: Final = f"`systemctl status {UNIT}` says why; fix that, and apply again"

FORGET_UNIT: Final = Notification(
    (_RELOAD, ("systemctl", "stop", UNIT_IF_LOADED)), f"systemctl daemon-reload && systemctl stop {UNIT}"
)
"""In this order: systemd knows no more what the unit does on a stop, which would take away addresses that may
be there to stay, by another method or manager."""
FORGET_PROFILE: Final = Notification((("nmcli", "connection", "reload"),), "nmcli connection reload")
READ_UNIT: Final = Notification((_RELOAD, _START), _UNIT_FAILS, at_boot=True)
START_UNIT: Final = Notification((_START,), _UNIT_FAILS, at_boot=True)
"""Changes nothing on a host that is prepared already: from then on the unit follows when `nftables.service`
loads its rules anew."""


def notifications(
    removed: Collection[str], written: Collection[str], there: Collection[str]
) -> tuple[Notification, ...]:
    """Return how those who read our files are to be notified after a run.

    Args:
        removed: paths of files that it took away.
        written: paths of files that it wrote.
        there: paths of all files that bring back what there is now.
    """
    due = {
        FORGET_UNIT: UNIT_FILE in removed,
        FORGET_PROFILE: KEYFILE in removed,
        READ_UNIT: UNIT_FILE in written,
        START_UNIT: UNIT_FILE in there and UNIT_FILE not in written,
    }
    return tuple(each for each, now in due.items() if now)
