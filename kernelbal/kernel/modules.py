"""Kernel modules: present and loadable ones, and the size of the IPVS connection table."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

IPVS: Final = "ip_vs"
CONNTRACK: Final = "nf_conntrack"
MODPROBE_FILE: Final = "/etc/modprobe.d/kernelbal.conf"

SMALLEST_BITS: Final = 12
"""The kernel's default: 4,096 buckets."""
LARGEST_BITS: Final = 20
"""What every kernel takes; from Linux 6.x on more is possible."""
MEMORY_PER_BUCKET_BYTES: Final = 16 * 1024
"""A bucket takes 8 bytes, so the table takes 1/2048 of memory, and a connection about 320: were 5 % of memory
full of connections, two or three would share a bucket."""
CONNECTIONS_PER_BUCKET: Final = 1
"""Above this each packet of a new flow walks a chain: new flows cost two to three times as much."""

_MODPROBE_TIMEOUT_S: Final = 30
_EVIDENCE: Final = {
    IPVS: "proc/net/ip_vs",
    CONNTRACK: "proc/sys/net/netfilter/nf_conntrack_max",
    "nf_tables": "proc/sys/net/netfilter/nf_tables",
}
"""Files that exist when a feature is present, loaded or built in."""
_SUFFIXES: Final = (".ko", ".ko.xz", ".ko.zst", ".ko.gz")


class Presence(Enum):
    """Whether a kernel has a module."""

    LOADED = "loaded"
    BUILT_IN = "built in"
    LOADABLE = "loadable"
    ABSENT = "absent"
    UNKNOWN = "unknown"
    """A kernel without loadable modules and without a list of what is built in."""

    @property
    def usable(self) -> bool:
        """Whether its feature works or will work when first used."""
        return self is not Presence.ABSENT


class ModuleLoad(NamedTuple):
    """How loading a module went; `message` and `hint` are empty unless it failed."""

    name: str
    loaded: bool
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class ModuleIndex:
    """The modules of a kernel, by its files; names are normalised, with `_` for `-`."""

    loaded: frozenset[str]
    built_in: frozenset[str]
    loadable: frozenset[str]
    evident: frozenset[str]
    complete: bool

    @classmethod
    def read(cls, root: Path = Path("/"), release: str | None = None) -> ModuleIndex:
        """Read /proc, /sys and the module lists of the running kernel.

        Args:
            root: where the file system is.
            release: `uname -r`; None takes that of the running kernel.
        """
        lists = root / "lib/modules" / (release or os.uname().release)
        proc_modules = _lines(root / "proc/modules")
        loaded = {line.split()[0] for line in proc_modules}
        shown = {entry.name for entry in _entries(root / "sys/module")}
        return cls(
            loaded=frozenset(loaded),
            built_in=frozenset(map(module_name, _lines(lists / "modules.builtin"))) | (shown - loaded),
            loadable=frozenset(module_name(line.partition(":")[0]) for line in _lines(lists / "modules.dep")),
            evident=frozenset(name for name, path in _EVIDENCE.items() if (root / path).exists()),
            complete=(lists / "modules.builtin").exists(),
        )

    def presence(self, name: str) -> Presence:
        """Return whether the kernel has the module `name`."""
        name = name.replace("-", "_")
        if name in self.loaded:
            return Presence.LOADED
        if name in self.built_in or name in self.evident:
            return Presence.BUILT_IN
        if name in self.loadable:
            return Presence.LOADABLE
        return Presence.ABSENT if self.complete else Presence.UNKNOWN


def module_name(path: str) -> str:
    """Return the module's name: `kernel/net/netfilter/ipvs/ip_vs.ko.xz` is `ip_vs`."""
    name = PurePosixPath(path.strip()).name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    return name.replace("-", "_")


def load_module(name: str, root: Path = Path("/"), command: Sequence[str] = ("modprobe",)) -> ModuleLoad:
    """Load a module unless its feature is there already.

    A kernel that has it built in may not know its name; what counts is that the feature is there.
    """
    if ModuleIndex.read(root).presence(name) in (Presence.LOADED, Presence.BUILT_IN):
        return ModuleLoad(name, loaded=True)
    error = _modprobe((*command, name))
    if error and ModuleIndex.read(root).presence(name) not in (Presence.LOADED, Presence.BUILT_IN):
        hint = f"modprobe {name}" if os.geteuid() else f"install the kernel package that holds {name}"
        return ModuleLoad(name, loaded=False, message=f"cannot load module {name}: {error}", hint=hint)
    return ModuleLoad(name, loaded=True)


def _modprobe(command: Sequence[str]) -> str:
    """Run modprobe; return its error, empty on success."""
    try:
        done = subprocess.run(  # noqa: S603 - no shell, and names come from tables
            command, capture_output=True, text=True, timeout=_MODPROBE_TIMEOUT_S, check=False
        )
    except FileNotFoundError:
        return "modprobe is missing (package kmod)"
    except subprocess.TimeoutExpired:
        return f"modprobe timed out after {_MODPROBE_TIMEOUT_S} s"
    if done.returncode == 0:
        return ""
    return done.stderr.strip().removeprefix("modprobe: ") or f"modprobe exited with {done.returncode}"


def recommended_bits(memory_bytes: int) -> int:
    """Return `conn_tab_bits` for a director: one bucket per 16 KiB of memory, 12 to 20 bits.

    Buckets are a power of two: 1 GiB gives 16 bits (65,536 buckets, 512 KiB), 16 GiB and more give 20.
    """
    buckets = max(memory_bytes // MEMORY_PER_BUCKET_BYTES, 1)
    return min(max(buckets.bit_length() - 1, SMALLEST_BITS), LARGEST_BITS)


def table_too_small(size_buckets: int, connections: int, memory_bytes: int) -> str:
    """Return a warning about a connection table that is too small; empty when it is not.

    Args:
        size_buckets: its size now; 0 when IPVS is not loaded.
        connections: connections in it now.
        memory_bytes: of the machine.
    """
    if size_buckets == 0 or connections <= size_buckets * CONNECTIONS_PER_BUCKET:
        return ""
    needed = (connections - 1).bit_length()
    bits = min(max(recommended_bits(memory_bytes), needed), LARGEST_BITS)
    if 1 << bits <= size_buckets:
        return ""
    return (
        f"the IPVS connection table has {size_buckets} buckets for {connections} connections, which makes "
        f"each new flow two to three times as expensive: set conn_tab_bits={bits} in {MODPROBE_FILE} and "
        "reload ip_vs (restart the director)"
    )


def modprobe_text(bits: int) -> str:
    """Return the text of `/etc/modprobe.d/kernelbal.conf`."""
    return (
        "# Buckets of the IPVS connection table, as a power of two: new flows cost two to three times as\n"
        "# much when connections outnumber buckets. Takes effect when ip_vs is loaded the next time.\n"
        f"options ip_vs conn_tab_bits={bits}\n"
    )


def modules_load_text(modules: Iterable[str]) -> str:
    """Return the text of `/etc/modules-load.d/kernelbal.conf`."""
    lines = "".join(f"{name}\n" for name in modules)
    return "# Loaded at boot, so that sysctls below net.ipv4.vs exist before anything sets them.\n" + lines


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []  # containers and kernels without modules lack these files


def _entries(path: Path) -> list[Path]:
    try:
        return list(path.iterdir())
    except OSError:
        return []
