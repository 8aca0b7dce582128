"""The command line of User-mode Linux, and when it is refused."""

import platform
from pathlib import Path

import pytest

from kernelbal.lab.backends.base import GuestCommand
from kernelbal.lab.backends.guest import Channels
from kernelbal.lab.backends.uml import UmlBackend, arguments

EXCHANGE = Path("/tmp/x")


def line(*, stdin: int | None = None, virtual_time: bool = False) -> list[str]:
    command = GuestCommand(("true",), Path("/"), virtual_time=virtual_time, memory_mib=512)
    return arguments(command, EXCHANGE, Channels(stdin, 5, 6))


def test_root_is_the_hosts_and_read_only() -> None:
    assert {"rootfstype=hostfs", "rootflags=/", "ro", "init=/tmp/x/init", "mem=512M"} <= set(line())


def test_output_goes_to_the_given_descriptors() -> None:
    assert {"con1=null,fd:5", "con2=null,fd:6"} <= set(line())


def test_interactive_input_comes_from_a_descriptor() -> None:
    assert "con1=fd:4,fd:5" in line(stdin=4)


@pytest.mark.parametrize("virtual", [True, False])
def test_time_travel_only_on_request(virtual: bool) -> None:
    assert ("time-travel=inf-cpu" in line(virtual_time=virtual)) is virtual


def test_other_processors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert "aarch64" in str(UmlBackend(Path("/bin/true")).refusal())


def test_missing_kernel_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("KERNELBAL_LAB_KERNEL", raising=False)
    assert "kernelbal lab kernel" in str(UmlBackend().refusal())
