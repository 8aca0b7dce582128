"""Who brings a preparation back at boot on this host, and why: a table over what was found on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from kernelbal.errors import PlanRefused
from kernelbal.realserver.persist.manager import PROFILE, UNIT, UNIT_FILE, Manager
from kernelbal.realserver.setup import LOOPBACK

Version = tuple[int, int]
LOOPBACK_PROFILES_SINCE: Final[Version] = (1, 42)
"""NetworkManager that configures `lo` (its NEWS, 1.42)."""
EXTERNAL: Final = "connected (externally)"
UNMANAGED: Final = "unmanaged"
PACKAGES: Final = {"ip": "iproute2", "nft": "nftables"}
"""Programs that our unit calls, and the packages that have them."""
_CALLED: Final = re.compile(r"^Exec\w+=-?(\S+)", re.MULTILINE)
WAY_OUT: Final = "--persist none changes only the running kernel; --print shows what a boot has to do"


class Profile(NamedTuple):
    """A device as NetworkManager sees it.

    Attributes:
        state: in the words of `nmcli device`.
        name: of its active connection profile, or empty.
    """

    state: str
    name: str


@dataclass(frozen=True, slots=True)
class NetworkConfiguration:
    """What a host's network is configured by.

    Attributes:
        systemd: whether it is the first process.
        networkd: whether systemd-networkd runs.
        networkd_devices: `.network` file by device, of those that it configures.
        networkmanager: version of the NetworkManager that runs, else None.
        profiles: what NetworkManager makes of each device.
        ifup: whether `ifup` is installed.
        stanzas: devices that `/etc/network/interfaces` and what it sources configure.
        sources_ours: whether our file of ifupdown would be read.
        programs: which of `PACKAGES` systemd finds.
    """

    systemd: bool = False
    networkd: bool = False
    networkd_devices: Mapping[str, str] = field(default_factory=dict)
    networkmanager: Version | None = None
    profiles: Mapping[str, Profile] = field(default_factory=dict)
    ifup: bool = False
    stanzas: frozenset[str] = frozenset()
    sources_ours: bool = False
    programs: frozenset[str] = frozenset()

    @property
    def lo_network(self) -> str:
        """The `.network` file of `lo`; empty for none."""
        return self.networkd_devices.get(LOOPBACK, "")


class Detected(NamedTuple):
    """Who brings a preparation back.

    Attributes:
        reason: why, in a few words.
    """

    manager: Manager
    reason: str


def detect(host: NetworkConfiguration, interfaces: tuple[str, ...]) -> Detected:
    """Return who brings a preparation back at boot.

    Args:
        host: of the host.
        interfaces: devices by which the director's packets come in; who configures them is to configure `lo`.

    Raises:
        PlanRefused: nobody is known who could.
    """
    if not host.systemd:
        raise PlanRefused("systemd does not run here, and kernelbal writes no files for others", WAY_OUT)
    names = ", ".join(interfaces)
    if taken := _taken(host):
        raise PlanRefused(
            taken,
            f"nmcli connection modify {host.profiles[LOOPBACK].name} +ipv4.addresses VIP/32; {WAY_OUT}",
        )
    if host.networkd and any(name in host.networkd_devices for name in interfaces):
        return Detected(Manager.NETWORKD, f"systemd-networkd configures {names}")
    if host.networkmanager is not None and any(_managed(host, name) for name in interfaces):
        return _networkmanager(host, names)
    if host.ifup and host.stanzas.intersection(interfaces):
        return _ifupdown(host, names)
    return Detected(Manager.UNIT, f"none of the known network managers configures {names}")


def check(host: NetworkConfiguration, manager: Manager) -> None:
    """Refuse a manager that would not read the files.

    Raises:
        PlanRefused: it is too old or not there; the hint says what to take instead.
    """
    obstacle = _OBSTACLES[manager](host)
    if obstacle:
        raise PlanRefused(
            f"--persist {manager.value} has no effect here: {obstacle}", f"leave --persist out; {WAY_OUT}"
        )


def check_programs(host: NetworkConfiguration, files: Mapping[str, str]) -> None:
    """Refuse a unit that calls what is not there: after a boot it would fail before it adds an address.

    Args:
        host: of the host.
        files: text by path of what brings a preparation back.

    Raises:
        PlanRefused: a program is missing; the hint names its package.
    """
    called = set(_CALLED.findall(files.get(UNIT_FILE, "")))
    missing = [name for name in PACKAGES if name in called - host.programs]
    if missing:
        raise PlanRefused(
            f"not installed: `{'` and `'.join(missing)}`, which {UNIT} calls at boot",
            f"apt install {' '.join(PACKAGES[name] for name in missing)}; {WAY_OUT}",
        )


def _managed(host: NetworkConfiguration, name: str) -> bool:
    profile = host.profiles.get(name)
    return profile is not None and profile.state not in (UNMANAGED, EXTERNAL)


def _networkmanager(host: NetworkConfiguration, names: str) -> Detected:
    said = f"NetworkManager configures {names}"
    obstacle = _networkmanager_obstacle(host)
    return (
        Detected(Manager.UNIT, f"{said}, but {obstacle}")
        if obstacle
        else Detected(Manager.NETWORKMANAGER, said)
    )


def _ifupdown(host: NetworkConfiguration, names: str) -> Detected:
    said = f"ifupdown configures {names}"
    obstacle = _ifupdown_obstacle(host)
    return Detected(Manager.UNIT, f"{said}, but {obstacle}") if obstacle else Detected(Manager.IFUPDOWN, said)


def _networkd_obstacle(host: NetworkConfiguration) -> str:
    return "" if host.networkd else "systemd-networkd does not run"


def _networkmanager_obstacle(host: NetworkConfiguration) -> str:
    if host.networkmanager is None:
        return "NetworkManager does not run"
    if host.networkmanager < LOOPBACK_PROFILES_SINCE:
        return f"version {'.'.join(map(str, host.networkmanager))} does not configure lo (1.42 does)"
    lo = host.profiles.get(LOOPBACK)
    if lo is None or lo.state == UNMANAGED:
        return "its configuration leaves lo alone"
    return _taken(host)


def _taken(host: NetworkConfiguration) -> str:
    """A profile of `lo` takes away what others have added when it is activated, at boot after our unit."""
    lo = host.profiles.get(LOOPBACK)
    if lo is None or not _managed(host, LOOPBACK) or lo.name == PROFILE:
        return ""
    return f"NetworkManager has the profile `{lo.name}` for lo, and would remove addresses that are not in it"


def _ifupdown_obstacle(host: NetworkConfiguration) -> str:
    if not host.ifup:
        return "ifup is not installed"
    return "" if host.sources_ours else "/etc/network/interfaces does not source /etc/network/interfaces.d/*"


def _no_obstacle(_: NetworkConfiguration) -> str:
    return ""


def _unit_obstacle(host: NetworkConfiguration) -> str:
    return _taken(host) if host.systemd else "systemd does not run"


_OBSTACLES: Final = {
    Manager.NETWORKD: _networkd_obstacle,
    Manager.NETWORKMANAGER: _networkmanager_obstacle,
    Manager.IFUPDOWN: _ifupdown_obstacle,
    Manager.UNIT: _unit_obstacle,
    Manager.NONE: _no_obstacle,
}
