"""Reading of a host what its network is configured by."""

from __future__ import annotations

import fnmatch
import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from kernelbal.realserver.persist.detect import PACKAGES, NetworkConfiguration, Profile, Version
from kernelbal.realserver.persist.manager import INTERFACES_FILE
from kernelbal.realserver.persist.programs import answer

Ask = Callable[[Sequence[str]], str]
"""Runs a program and returns what it prints; empty when it fails or is not there."""

_VERSION: Final = re.compile(r"\b(\d+)\.(\d+)")
_ESCAPED: Final = re.compile(r"\\(.)")
_LINKS: Final = "run/systemd/netif/links"
_IFUP_PLACES: Final = ("sbin/ifup", "usr/sbin/ifup")
_PROGRAM_PLACES: Final = ("usr/local/sbin", "usr/local/bin", "usr/sbin", "usr/bin", "sbin", "bin")
"""Where systemd looks for programs (`systemd-path search-binaries-default`)."""
_PLAIN_NAME: Final = re.compile(r"[a-zA-Z0-9_-]+")
"""Names that `source-directory` reads (`interfaces(5)`)."""
_NESTING_LIMIT: Final = 8


def read_network_configuration(root: Path = Path("/"), ask: Ask = answer) -> NetworkConfiguration:
    """Return what configures this host's network; what cannot be read counts as not there.

    Args:
        root: where the file system is.
        ask: runs programs of the host.
    """
    systemd = (root / "run/systemd/system").is_dir()
    networkmanager = _active(ask, "NetworkManager.service") if systemd else False
    lines = tuple(_interfaces_lines(root, root / "etc/network/interfaces"))
    return NetworkConfiguration(
        systemd=systemd,
        networkd=systemd and _active(ask, "systemd-networkd.service"),
        networkd_devices=dict(_networkd_devices(root)),
        networkmanager=_version(ask(("nmcli", "--version"))) if networkmanager else None,
        profiles=dict(_profiles(ask)) if networkmanager else {},
        ifup=any((root / place).exists() for place in _IFUP_PLACES),
        stanzas=frozenset(words[1].partition(":")[0] for words in lines if words[0] == "iface" and words[1:]),
        sources_ours=any(_reads_ours(words) for words in lines),
        programs=frozenset(
            name for name in PACKAGES if any((root / place / name).exists() for place in _PROGRAM_PLACES)
        ),
    )


def _active(ask: Ask, unit: str) -> bool:
    return ask(("systemctl", "is-active", unit)).strip() == "active"


def _version(said: str) -> Version | None:
    found = _VERSION.search(said)
    return (int(found[1]), int(found[2])) if found else None


def _profiles(ask: Ask) -> Iterator[tuple[str, Profile]]:
    """Colons in values are escaped by a backslash (`nmcli(1)`, --terse)."""
    for line in ask(("nmcli", "--terse", "--fields", "DEVICE,STATE,CONNECTION", "device")).splitlines():
        parts = [_ESCAPED.sub(r"\1", part) for part in re.split(r"(?<!\\):", line)]
        if len(parts) == 3:
            yield parts[0], Profile(parts[1], parts[2])


def _networkd_devices(root: Path) -> Iterator[tuple[str, str]]:
    """systemd-networkd reports each device in a file that is named by its index (`sd-network`)."""
    for device in _entries(root / "sys/class/net"):
        state = _text(root / _LINKS / _text(device / "ifindex").strip())
        found = re.search(r"^NETWORK_FILE=(.+)$", state, re.MULTILINE)
        if found:
            yield device.name, found[1]


def _interfaces_lines(root: Path, path: Path, depth: int = 0) -> Iterator[list[str]]:
    """Yield the words of the lines of `interfaces(5)`, also of the files that it sources."""
    for line in _text(path).replace("\\\n", " ").splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        yield words
        if depth < _NESTING_LIMIT:
            for sourced in _sourced(root, words):
                yield from _interfaces_lines(root, sourced, depth + 1)


def _sourced(root: Path, words: list[str]) -> Iterator[Path]:
    if words[0] not in ("source", "source-directory"):
        return
    for pattern in _patterns(words):
        for path in sorted(root.glob(pattern.lstrip("/"))):
            if path.is_dir():
                yield from (each for each in _entries(path) if _PLAIN_NAME.fullmatch(each.name))
            elif words[0] == "source":
                yield path


def _reads_ours(words: list[str]) -> bool:
    """Return whether a line sources our file, which is there or not."""
    ours = INTERFACES_FILE
    directory = ours.rpartition("/")[0]
    match words[0]:
        case "source":
            return any(fnmatch.fnmatchcase(ours, pattern) for pattern in _patterns(words))
        case "source-directory":
            return any(fnmatch.fnmatchcase(directory, pattern.rstrip("/")) for pattern in _patterns(words))
        case _:
            return False


def _patterns(words: list[str]) -> list[str]:
    """Relative ones are below `/etc/network`."""
    try:
        given = shlex.split(" ".join(words[1:]))
    except ValueError:
        given = words[1:]
    return [each if each.startswith("/") else f"/etc/network/{each}" for each in given]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""  # what is not there says nothing


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())
    except OSError:
        return []
