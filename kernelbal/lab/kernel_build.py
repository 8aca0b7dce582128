"""Builds the lab kernel, once per machine: User-mode Linux from Debian's kernel source package.

The kernels of Debian 12 and 13 are too old: before 6.13 User-mode Linux cannot handle the register sets of
current processors, and before 6.16 it is three times slower. So the source comes from a newer suite.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from kernelbal.lab import process
from kernelbal.lab.backends.base import GuestCommand, StandardStreams
from kernelbal.lab.backends.uml import UmlBackend
from kernelbal.lab.errors import KernelBuildError, LabError
from kernelbal.lab.kernel_cache import (
    KERNEL_FILE,
    built_kernel,
    config_fragment,
    kernel_directory,
    uml_directory,
)
from kernelbal.lab.private_apt import Package, PrivateApt

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernelbal.lab.progress import Progress

SUITES: Final = ("trixie-backports", "sid", "trixie")
"""Where to look for kernel source: a stable release's, then what always exists, then the last resort."""
SOURCE_PACKAGE: Final = "linux-source"
NEEDED_BYTES: Final = 4 * 1024**3
EXPECTED_STEPS: Final = 1560
"""About how many files a build compiles; only the percentage shown depends on it."""
_SYSTEM_NICENESS: Final = ("nice", "-n", "10")
_STEP_LIMIT_S: Final = 900.0
_BOOT_LIMIT_S: Final = 60.0


class Tool(NamedTuple):
    """Something that the build needs, and the package that has it."""

    path: str
    package: str


TOOLS: Final = (
    Tool("gcc", "gcc"),
    Tool("make", "make"),
    Tool("flex", "flex"),
    Tool("bison", "bison"),
    Tool("bc", "bc"),
    Tool("xz", "xz-utils"),
    Tool("strip", "binutils"),
    Tool("apt-get", "apt"),
    Tool("dpkg-deb", "dpkg"),
    Tool("/usr/include/libelf.h", "libelf-dev"),
    Tool("/usr/include/stdio.h", "libc6-dev"),
)
REQUIRED_OPTIONS: Final = (
    "CONFIG_HOSTFS",
    "CONFIG_IP_VS",
    "CONFIG_NF_TABLES",
    "CONFIG_UML_TIME_TRAVEL_SUPPORT",
)
"""Options (by their start) without which a kernel is no lab kernel."""


def build_kernel(progress: Progress) -> Path:
    """Return the lab kernel, built unless that has been done.

    Only one build runs at a time; a second caller waits for it. An interrupted build goes on where it was.

    Raises:
        KernelBuildError: tools are missing, or no suite gave a kernel that boots; the message says why.
    """
    _require_tools()
    uml_directory().mkdir(parents=True, exist_ok=True)
    with _only_one(progress):
        ready = built_kernel()
        if ready is not None:
            return ready
        failures = []
        for suite in SUITES:
            try:
                return _build_from(suite, progress)
            except LabError as error:
                progress.stage(f"{suite}: {error.message}")
                failures.append(f"{suite}: {error.message.splitlines()[0]}")
        raise KernelBuildError(
            "no lab kernel could be built: " + "; ".join(failures),
            f"the work is kept in {uml_directory()}; or name a ready kernel in KERNELBAL_LAB_KERNEL",
        )


def _require_tools() -> None:
    missing = [tool for tool in TOOLS if not (shutil.which(tool.path) or Path(tool.path).is_file())]
    if missing:
        packages = " ".join(sorted({tool.package for tool in missing}))
        raise KernelBuildError(
            f"building the lab kernel needs {', '.join(tool.path for tool in missing)}",
            f"apt-get install --no-install-recommends {packages}",
        )
    free = shutil.disk_usage(_existing(uml_directory())).free
    if free < NEEDED_BYTES:
        raise KernelBuildError(
            f"{uml_directory()} has {free // 2**20} MiB free, the build needs {NEEDED_BYTES // 2**20}",
            "make room, or set XDG_CACHE_HOME to another disk",
        )


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


@contextlib.contextmanager
def _only_one(progress: Progress) -> Iterator[None]:
    with (uml_directory() / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.stage("another build is running; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build_from(suite: str, progress: Progress) -> Path:
    """Return a kernel of one suite that is known to boot.

    Raises:
        LabError: a step failed.
    """
    scratch = uml_directory() / "build" / suite
    scratch.mkdir(parents=True, exist_ok=True)
    apt = PrivateApt(uml_directory() / "apt", suite)
    progress.stage(f"looking for kernel source in Debian {suite}")
    apt.update()
    package = apt.dependency(SOURCE_PACKAGE)
    source = _unpacked(apt, package, scratch, progress)
    progress.stage(f"configuring {package.name} {package.version}")
    for option in _configure(source):
        progress.stage(f"this kernel has no {option}; going on without")
    _compile(source, scratch / "build.log", progress)
    progress.stage("trying the kernel")
    kernel = _install(source, package)
    shutil.rmtree(scratch)
    progress.stage(f"ready: {kernel}")
    return kernel


def _unpacked(apt: PrivateApt, package: Package, scratch: Path, progress: Progress) -> Path:
    source = scratch / f"{package.name}-{package.version}"
    if source.exists():
        return source
    progress.stage(f"fetching {package.name} {package.version} (about 160 MB)")
    archive = apt.download(package, scratch)
    progress.stage("unpacking")
    partial = scratch / "unpacking"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    _unpack(archive, package, partial)
    next(partial.iterdir()).rename(source)
    archive.unlink()
    return source


def _unpack(archive: Path, package: Package, target: Path) -> None:
    """Unpack the source archive inside the package, without a copy of it on disk in between."""
    inner = f"./usr/src/{package.name}.tar.xz"
    stages = (
        ["dpkg-deb", "--fsys-tarfile", str(archive)],
        ["tar", "--extract", "--to-stdout", inner],
        ["tar", "--extract", "--xz", "--directory", str(target)],
    )
    with contextlib.ExitStack() as stack:
        running: list[subprocess.Popen[str]] = []
        for argv in stages:
            before = running[-1].stdout if running else None
            last = argv is stages[-1]
            started = process.start(
                argv, stdin=before or subprocess.DEVNULL, stdout=None if last else subprocess.PIPE
            )
            stack.callback(process.stop, started)
            running.append(started)
            if before is not None:
                before.close()
        status = running[-1].wait(_STEP_LIMIT_S)
    if status != 0:
        raise KernelBuildError(f"{archive.name} could not be unpacked (tar exited with {status})")


def _make(source: Path, *arguments: str) -> None:
    argv = ["make", "ARCH=um", *arguments]
    process.run(argv, cwd=source, env=_build_environment(), timeout_s=_STEP_LIMIT_S)


def _build_environment() -> dict[str, str]:
    """A build that says nothing of the machine that it ran on."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C",
        "KBUILD_BUILD_USER": "kernelbal",
        "KBUILD_BUILD_HOST": "lab",
    }


def _configure(source: Path) -> list[str]:
    """Write `.config` and return the wanted options that this kernel does not have.

    Raises:
        KernelBuildError: one that matters is missing.
    """
    fragment = source / "kernelbal.config"
    fragment.write_text(config_fragment(), encoding="ascii")
    _make(source, "defconfig")
    merge = ["scripts/kconfig/merge_config.sh", "-m", "-O", ".", ".config", fragment.name]
    process.run(merge, cwd=source, env=_build_environment())
    _make(source, "olddefconfig")
    missing = missing_options(config_fragment(), (source / ".config").read_text(encoding="utf-8"))
    vital = [option for option in missing if option.startswith(REQUIRED_OPTIONS)]
    if vital:
        raise KernelBuildError(f"{source.name} cannot be built with {', '.join(vital)}")
    return missing


def missing_options(wanted: str, config: str) -> list[str]:
    """Return the options that `wanted` switches on and `config` does not have on."""
    given = set(config.splitlines())
    lines = [line for line in wanted.splitlines() if line.startswith("CONFIG_") and line.endswith("=y")]
    return [line.removesuffix("=y") for line in lines if line not in given]


def _compile(source: Path, log_path: Path, progress: Progress) -> None:
    jobs = os.cpu_count() or 1
    progress.stage(f"compiling with {jobs} jobs (about 15 minutes of one processor)")
    argv = [*_SYSTEM_NICENESS, "make", "ARCH=um", f"-j{jobs}", KERNEL_FILE]
    steps = 0
    with log_path.open("w", encoding="utf-8") as log:
        make = process.start(
            argv, cwd=source, env=_build_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        try:
            for line in make.stdout or ():
                log.write(line)
                steps += line.startswith(("  CC ", "  AS ", "  AR "))
                done = min(99, 100 * steps // EXPECTED_STEPS)
                progress.update(f"compiling: {steps} files, {done} %")
            status = make.wait()
        finally:
            process.stop(make)
    if status != 0:
        said = "\n".join(log_path.read_text(encoding="utf-8").splitlines()[-20:])
        raise KernelBuildError(f"the kernel did not compile:\n{said}", f"the whole output is in {log_path}")


def _install(source: Path, package: Package) -> Path:
    """Put the kernel in its place when it boots and has IPVS.

    Raises:
        LabError: it does not.
    """
    with tempfile.TemporaryDirectory(dir=uml_directory(), prefix="new-") as staging:
        kernel = Path(staging) / "kernel" / KERNEL_FILE
        kernel.parent.mkdir()
        process.run(["strip", "-o", str(kernel), str(source / KERNEL_FILE)])
        shutil.copy(source / ".config", kernel.parent / "config")
        prove_kernel(kernel)
        target = kernel_directory(package.version)
        kernel.parent.rename(target)
    return target / KERNEL_FILE


def prove_kernel(kernel: Path) -> None:
    """Boot a kernel and look for IPVS.

    Raises:
        LabError: it does not boot, or has no IPVS.
    """
    command = GuestCommand(("test", "-e", "/proc/net/ip_vs"), Path("/"), timeout_s=_BOOT_LIMIT_S)
    with Path(os.devnull).open("wb") as nowhere:
        status = UmlBackend(kernel).run(command, StandardStreams(nowhere.fileno(), nowhere.fileno()))
    if status != 0:
        raise KernelBuildError(f"{kernel} boots, but has no IPVS")
