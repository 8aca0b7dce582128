"""Where lab kernels are kept and how one is found."""

from __future__ import annotations

import os
from importlib import resources
from pathlib import Path
from typing import Final

from kernelbal.lab.errors import LabError

KERNEL_VARIABLE: Final = "KERNELBAL_LAB_KERNEL"
"""Environment variable that names a ready User-mode Linux kernel; preferred to one that was built."""
KERNEL_FILE: Final = "linux"


def cache_directory() -> Path:
    """Return `$XDG_CACHE_HOME/kernelbal`, by default `~/.cache/kernelbal`; it may not exist yet."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "kernelbal"


def uml_directory() -> Path:
    """Return where User-mode Linux kernels are built and kept."""
    return cache_directory() / "uml"


def config_fragment() -> str:
    """Return the kernel configuration on top of the architecture's default."""
    return resources.files("kernelbal.lab").joinpath("uml.config").read_text(encoding="utf-8")


def find_kernel() -> Path | None:
    """Return the User-mode Linux kernel: the one that the environment names, else the newest built one.

    Raises:
        LabError: the environment names something that is no executable file.
    """
    named = os.environ.get(KERNEL_VARIABLE)
    if named:
        path = Path(named).resolve()
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise LabError(
                f"{KERNEL_VARIABLE}={named} is not an executable file",
                f"unset {KERNEL_VARIABLE} to have a kernel built",
            )
        return path
    built = sorted(uml_directory().glob(f"*/{KERNEL_FILE}"), key=lambda path: path.stat().st_mtime)
    return built[-1] if built else None
