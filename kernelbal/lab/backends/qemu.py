"""QEMU with a distribution's stock kernel: by KVM where that really works, else in software emulation.

Slower than the other back ends (30 to 50 times without KVM), but a kernel as it is delivered, with modules.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kernelbal.lab import holder, process
from kernelbal.lab.backends.base import GuestCommand, Unavailable
from kernelbal.lab.backends.guest import Channels, Launch, run_guest, write_init
from kernelbal.lab.backends.init_script import EXCHANGE, SCRIPT_FILE, Machine
from kernelbal.lab.errors import LabError
from kernelbal.lab.initramfs import PROBE_WORD, ROOT_TAG
from kernelbal.lab.live import LIVE
from kernelbal.lab.progress import Progress
from kernelbal.lab.stock_kernel import StockKernel, qemu_directory, stock_kernel

if TYPE_CHECKING:
    from kernelbal.lab.backends.base import StandardStreams, Up

PROGRAM: Final = "qemu-system-x86_64"
TOOLS: Final = {
    PROGRAM: "qemu-system-x86",
    "busybox": "busybox-static",
    "cpio": "cpio",
    "depmod": "kmod",
    "apt-get": "apt",
}
"""Program -> the package that has it."""
_KVM: Final = Path("/dev/kvm")
_PROBE_LIMIT_S: Final = 10.0
_UP_LIMIT_S: Final = 300.0
_EXCHANGE_TAG: Final = "exchange"
_RESULTS_TAG: Final = "results"
_LIVE_TAG: Final = "live"
_9P_OPTIONS: Final = "trans=virtio,version=9p2000.L,msize=512000"
_KERNEL_OPTIONS: Final = "quiet loglevel=4 console=hvc0 panic=-1 random.trust_cpu=on mitigations=off"
_OUT, _ERR, _FIRST_CONSOLE = 1, 2, 3


class QemuBackend:
    """Runs commands in QEMU."""

    name: Final = "qemu"

    def refusal(self) -> Unavailable | None:
        """Say why it cannot be used here, or None when it can."""
        if platform.machine() != "x86_64":
            return Unavailable(f"this back end is for x86_64, this is {platform.machine()}")
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            packages = " ".join(TOOLS[tool] for tool in missing)
            return Unavailable(f"{', '.join(missing)} not installed", f"apt-get install {packages}")
        return None

    def run(self, command: GuestCommand, streams: StandardStreams) -> int:
        """Run a command to its end and return its exit status.

        Raises:
            GuestFailed: the guest did not come up or ended early.
            GuestTimeout: the command outlived its limit.
            LabError: its kernel cannot be fetched.
        """
        kernel = stock_kernel(Progress(sys.stderr))
        machine = machine_for(command, kernel)

        def launch(exchange: Path, channels: Channels) -> Launch:
            argv = [
                *common_arguments(kernel, command, exchange, kvm_works(kernel)),
                *_stream_arguments(command, channels, exchange),
            ]
            return Launch(argv, dict(os.environ))

        return run_guest(command, streams, machine, launch)

    def up(self, topology: str, directory: Path) -> Up:
        """Bring a topology up so that it stays, with its files in `directory`.

        Raises:
            GuestFailed: it did not come up.
            LabError: its kernel cannot be fetched.
        """
        kernel = stock_kernel(Progress(sys.stderr))
        numbers = range(_FIRST_CONSOLE, _FIRST_CONSOLE + holder.CONSOLES)
        devices = holder.console_options([f"/dev/vport0p{number}" for number in numbers])
        agent = holder.agent_command(topology, directory, devices)
        command = GuestCommand(agent, Path("/"), results=directory)
        write_init(command, machine_for(command, kernel), directory)
        consoles = holder.make_pipes(directory)
        argv = [
            *common_arguments(kernel, command, directory, kvm_works(kernel)),
            *_port(_OUT, "file,path=/dev/fd/2"),
            *_port(_ERR, "file,path=/dev/fd/2"),
        ]
        for number, console in zip(numbers, consoles, strict=True):
            argv += _port(number, f"pipe,path={console}")
        pid = holder.start(argv, directory, dict(os.environ))
        return holder.await_ready(self.name, topology, pid, directory, consoles, _UP_LIMIT_S)


def machine_for(command: GuestCommand, kernel: StockKernel) -> Machine:
    """Return how this guest sees the host: its root over 9p, and writable shares of their own."""
    results = shlex.quote(str(command.results))
    share = (
        f'case "$2" in\n'
        f'{EXCHANGE}) mount -t 9p -o {_9P_OPTIONS} {_EXCHANGE_TAG} "$2" ;;\n'
        f'{results}) mount -t 9p -o {_9P_OPTIONS} {_RESULTS_TAG} "$2" ;;\n'
        f'*) mount --bind "/run/host$1" "$2" ;;\n'
        f"esac"
    )
    modules = shlex.quote(f"/run/host{kernel.modules}")
    prepare = (
        "mkdir /run/host\n"
        "mount --bind / /run/host\n"
        f"mkdir {LIVE}\n"
        f"mount -t 9p -o ro,{_9P_OPTIONS} {_LIVE_TAG} {LIVE}\n"
        "[ -d /lib/modules ] || over /usr/lib\n"
        "mkdir -p /lib/modules\n"
        f"mount --bind {modules} /lib/modules\n"
        "modprobe ip_vs"
    )
    out = "/dev/hvc1" if command.interactive else f"/dev/vport0p{_OUT}"
    err = "/dev/hvc1" if command.interactive else f"/dev/vport0p{_ERR}"
    return Machine(share=share, stdout=out, stderr=err, prepare=prepare)


def common_arguments(kernel: StockKernel, command: GuestCommand, exchange: Path, kvm: bool) -> list[str]:
    """Return QEMU with the arguments that every guest has."""
    return [
        PROGRAM,
        *(["-accel", "kvm", "-cpu", "host"] if kvm else ["-accel", "tcg", "-cpu", "max"]),
        *("-m", f"{command.memory_mib}M", "-smp", "2" if kvm else "1"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        # First, so that its ports are called vport0p*.
        *("-device", "virtio-serial-pci,max_ports=16"),
        *("-chardev", "file,id=log,path=/dev/fd/1", "-device", "virtconsole,chardev=log,nr=0"),
        *_shared("/", ROOT_TAG, read_only=True),
        *_shared("/", _LIVE_TAG, read_only=True),
        *_shared(str(exchange), _EXCHANGE_TAG),
        *_results(command, exchange),
        *("-device", "virtio-rng-pci"),
        *("-kernel", str(kernel.image), "-initrd", str(kernel.initramfs), "-append"),
        f"{_KERNEL_OPTIONS} lab.init={exchange / SCRIPT_FILE}",
    ]


def _results(command: GuestCommand, exchange: Path) -> list[str]:
    return [] if command.results in (None, exchange) else _shared(str(command.results), _RESULTS_TAG)


def _shared(path: str, tag: str, *, read_only: bool = False) -> list[str]:
    writable = "on" if read_only else "off"
    where = f"local,id={tag},path={path},security_model=none,multidevs=remap,readonly={writable}"
    return ["-fsdev", where, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]


def _stream_arguments(command: GuestCommand, channels: Channels, exchange: Path) -> list[str]:
    if command.interactive:
        # QEMU opens pipes by name, `.in` and `.out` left out.
        (exchange / "terminal.in").symlink_to(f"/dev/fd/{channels.stdin}")
        (exchange / "terminal.out").symlink_to(f"/dev/fd/{channels.stdout}")
        console = f"pipe,id=terminal,path={exchange / 'terminal'}"
        return ["-chardev", console, "-device", "virtconsole,chardev=terminal,nr=1"]
    return [
        *_port(_OUT, f"file,path=/dev/fd/{channels.stdout}"),
        *_port(_ERR, f"file,path=/dev/fd/{channels.stderr}"),
    ]


def _port(number: int, backend: str) -> list[str]:
    kind, options = backend.split(",", 1)
    return [
        *("-chardev", f"{kind},id=port{number},{options}"),
        *("-device", f"virtserialport,chardev=port{number},nr={number},name=port{number}"),
    ]


def kvm_works(kernel: StockKernel) -> bool:
    """Return whether a guest really boots by KVM; tried once per boot of this machine.

    The device may be there and open without a guest ever starting, as in some nested virtual machines.
    """
    if not os.access(_KVM, os.R_OK | os.W_OK):
        return False
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    remembered = qemu_directory() / f"kvm-{boot}"
    if not remembered.exists():
        for old in qemu_directory().glob("kvm-*"):
            old.unlink()
        remembered.write_text(str(int(_probe_kvm(kernel))), encoding="ascii")
    return remembered.read_text(encoding="ascii") == "1"


def _probe_kvm(kernel: StockKernel) -> bool:
    argv = [
        *(PROGRAM, "-accel", "kvm", "-cpu", "host", "-m", "256M"),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none"),
        *("-kernel", str(kernel.image), "-initrd", str(kernel.initramfs)),
        *("-append", f"quiet panic=-1 {PROBE_WORD}"),
    ]
    try:
        return process.run(argv, check=False, timeout_s=_PROBE_LIMIT_S).returncode == 0
    except LabError:
        return False
