"""Where lab kernels are kept and how one is found."""

from __future__ import annotations

import hashlib
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
    return built_kernel()


def built_kernel() -> Path | None:
    """Return the newest kernel that was built with the present configuration."""
    kernels = uml_directory().glob(f"*-{_config_hash()}/{KERNEL_FILE}")
    return max(kernels, key=lambda path: path.stat().st_mtime, default=None)


def kernel_directory(source_version: str) -> Path:
    """Return where the kernel of a source version and the present configuration is kept."""
    return uml_directory() / f"{source_version}-{_config_hash()}"


def _config_hash() -> str:
    return hashlib.sha256(config_fragment().encode()).hexdigest()[:12]
