"""Who brings a preparation back at boot, and where its files are."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum
from typing import Final, Protocol

SYSCTL_FILE: Final = "/etc/sysctl.d/99-zz-kernelbal-realserver.conf"
"""Read last, also after `/etc/sysctl.conf` (`99-sysctl.conf`): an old line there would let ARP answer."""
MODULES_FILE: Final = "/etc/modules-load.d/kernelbal-realserver.conf"
TABLES_FILE: Final = "/etc/kernelbal-realserver.nft"
UNIT: Final = "kernelbal-realserver.service"
UNIT_IF_LOADED: Final = f"{UNIT}*"
"""A pattern: that no unit fits is no fault for `systemctl stop`, while a unit that is not loaded is."""
UNIT_FILE: Final = f"/etc/systemd/system/{UNIT}"
WANTED_FILE: Final = "/etc/systemd/system/multi-user.target.d/kernelbal-realserver.conf"
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


def settling_commands(paths: Collection[str], *, written: bool) -> tuple[tuple[str, ...], ...]:
    """Return what to run once files are written or taken away, so that who reads them knows.

    The unit is started, which changes nothing on a host that is prepared already: from then on it follows
    when `nftables.service` loads its rules anew. systemd forgets what is in the unit before it stops it, so
    that this takes no address away: it may be there to stay, by another method or manager.

    Args:
        paths: of the files.
        written: whether they are there now.
    """
    commands: list[tuple[str, ...]] = []
    if UNIT_FILE in paths:
        reload = ("systemctl", "daemon-reload")
        settle = ("systemctl", "start", UNIT) if written else ("systemctl", "stop", UNIT_IF_LOADED)
        commands += [reload, settle]
    if KEYFILE in paths and not written:
        commands.append(("nmcli", "connection", "reload"))
    return tuple(commands)
