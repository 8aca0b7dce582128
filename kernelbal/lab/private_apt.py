"""apt with a state of its own: packages of another Debian release, while the system's apt notices nothing.

Signatures are checked with the Debian archive keyring; the mirror is the one that the system's apt uses.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from kernelbal.lab import process
from kernelbal.lab.errors import KernelBuildError, LabError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT_MIRROR: Final = "http://deb.debian.org/debian"
_KEYRINGS: Final = (
    Path("/usr/share/keyrings/debian-archive-keyring.pgp"),
    Path("/usr/share/keyrings/debian-archive-keyring.gpg"),
)
_UPDATE_LIMIT_S: Final = 600.0
_DOWNLOAD_LIMIT_S: Final = 1800.0


class Package(NamedTuple):
    """A package that a suite offers."""

    name: str
    version: str


def keyring() -> Path:
    """Return the file with Debian's archive keys.

    Raises:
        KernelBuildError: it is not installed.
    """
    for path in _KEYRINGS:
        if path.exists():
            return path
    raise KernelBuildError("Debian's archive keys are not here", "apt-get install debian-archive-keyring")


def mirror() -> str:
    """Return the address of the Debian mirror that the system's apt uses, else Debian's own."""
    try:
        listed = process.run(
            ["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"]
        )
    except LabError:
        return DEFAULT_MIRROR
    return mirror_from(listed.stdout)


def mirror_from(targets: str) -> str:
    """Return the first Debian mirror of `LABEL ADDRESS` lines, else Debian's own.

    The label of security and third-party archives differs; an archive that was never fetched has none.
    """
    for line in targets.splitlines():
        label, _, address = line.partition(" ")
        if label == "Debian":
            return address.rstrip("/")
    return DEFAULT_MIRROR


def render_sources(suite: str, address: str, keys: Path) -> str:
    """Return an apt source (deb822) for one suite."""
    return f"Types: deb\nURIs: {address}\nSuites: {suite}\nComponents: main\nSigned-By: {keys}\n"


class PrivateApt:
    """apt for one suite of Debian, with its state under one directory."""

    def __init__(self, directory: Path, suite: str) -> None:
        """Keep the state of `suite` under `directory`."""
        self.suite = suite
        self._directory = directory / suite
        self._sources = self._directory / "suite.sources"

    def update(self) -> None:
        """Fetch the suite's package lists.

        Raises:
            KernelBuildError: Debian's keys are missing.
            LabError: apt failed; the message quotes it.
        """
        for needed in ("state/lists/partial", "cache/archives/partial"):
            (self._directory / needed).mkdir(parents=True, exist_ok=True)
        self._sources.write_text(render_sources(self.suite, mirror(), keyring()), encoding="ascii")
        self._run("apt-get", ["--quiet=2", "--error-on=any", "update"], timeout_s=_UPDATE_LIMIT_S)

    def dependency(self, name: str) -> Package:
        """Return the first package that package `name` depends on: what a metapackage stands for today.

        Raises:
            LabError: the suite has no such package.
        """
        depends = self._run("apt-cache", ["depends", name]).stdout
        real = next((line.split()[-1] for line in depends.splitlines() if "Depends:" in line), None)
        if real is None:
            raise LabError(f"{self.suite} has no {name}")
        shown = self._run("apt-cache", ["show", "--no-all-versions", real]).stdout
        versions = [line.split()[1] for line in shown.splitlines() if line.startswith("Version:")]
        return Package(real, versions[0])

    def download(self, package: Package, directory: Path) -> Path:
        """Return the package file, fetched into `directory` unless it is there.

        Raises:
            LabError: apt failed; the message quotes it.
        """
        pattern = f"{package.name}_*.deb"
        if not list(directory.glob(pattern)):
            wanted = f"{package.name}={package.version}"
            self._run("apt-get", ["--quiet=2", "download", wanted], directory, _DOWNLOAD_LIMIT_S)
        return next(iter(directory.glob(pattern)))

    def _run(
        self,
        program: str,
        arguments: Sequence[str],
        cwd: Path | None = None,
        timeout_s: float = 60.0,
    ) -> process.Completed:
        options = {
            "Dir::State": self._directory / "state",
            "Dir::State::status": os.devnull,
            "Dir::Cache": self._directory / "cache",
            "Dir::Etc::sourcelist": self._sources,
            "Dir::Etc::sourceparts": os.devnull,
            "Acquire::Languages": "none",
            # apt's own user may not be able to write here.
            "APT::Sandbox::User": "root",
        }
        given = [part for name, value in options.items() for part in ("-o", f"{name}={value}")]
        return process.run([program, *given, *arguments], cwd=cwd, timeout_s=timeout_s)
