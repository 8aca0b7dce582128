"""The command line of QEMU, and when it is refused."""

import platform
import shutil
from pathlib import Path

import pytest

from kernelbal.lab.backends.base import GuestCommand
from kernelbal.lab.backends.qemu import QemuBackend, common_arguments, machine_for
from kernelbal.lab.stock_kernel import StockKernel

KERNEL = StockKernel(Path("/c/image"), Path("/c/initramfs"), Path("/c/tree/lib/modules"))
EXCHANGE = Path("/tmp/x")


def line(*, kvm: bool = False, results: Path | None = None) -> str:
    command = GuestCommand(("true",), Path("/"), results=results)
    return " ".join(common_arguments(KERNEL, command, EXCHANGE, kvm))


def test_hosts_root_is_read_only_and_the_exchange_is_not() -> None:
    assert "id=root,path=/,security_model=none,multidevs=remap,readonly=on" in line()
    assert "id=live,path=/,security_model=none,multidevs=remap,readonly=on" in line()
    assert "id=exchange,path=/tmp/x,security_model=none,multidevs=remap,readonly=off" in line()


def test_kvm_only_when_it_works() -> None:
    assert "-accel tcg" in line()
    assert "-accel kvm" in line(kvm=True)


def test_results_get_a_share_of_their_own() -> None:
    assert "id=results" not in line()
    assert "id=results" not in line(results=EXCHANGE)
    assert "id=results,path=/r,security_model=none,multidevs=remap,readonly=off" in line(results=Path("/r"))


def test_guest_gets_the_kernels_modules_and_ipvs() -> None:
    prepare = machine_for(GuestCommand(("true",), Path("/")), KERNEL).prepare.splitlines()
    assert "mount --bind /run/host/c/tree/lib/modules /lib/modules" in prepare
    assert prepare[-1] == "modprobe ip_vs"


def test_missing_programs_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(shutil, "which", lambda name: None if name in {"busybox", "cpio"} else "/bin/true")
    refusal = str(QemuBackend().refusal())
    assert refusal == "busybox, cpio not installed (apt-get install busybox-static cpio)"
