"""When the running kernel is refused."""

import os
from pathlib import Path

import pytest

from kernelbal.lab import process
from kernelbal.lab.backends import netns
from kernelbal.lab.backends.netns import NetnsBackend
from kernelbal.lab.errors import LabError


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Pretend to be root; the result is where the kernel's IPVS table would be."""
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    table = tmp_path / "ip_vs"
    monkeypatch.setattr(netns, "_IPVS_TABLE", table)
    monkeypatch.setattr(netns, "_refused_namespaces", lambda: None)
    return table


def test_ordinary_user_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert str(NetnsBackend().refusal()) == "making network namespaces needs root (run it with sudo)"


def test_ipvs_that_is_there_will_do(root: Path) -> None:
    root.touch()
    assert NetnsBackend().refusal() is None


def test_ipvs_is_loaded_when_it_can_be(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def modprobe(argv: list[str], **_: object) -> process.Completed:
        root.touch()
        return process.Completed(argv, 0, "", "")

    monkeypatch.setattr(process, "run", modprobe)
    assert NetnsBackend().refusal() is None


@pytest.mark.usefixtures("root")
def test_kernel_without_ipvs_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def modprobe(*_: object, **__: object) -> process.Completed:
        raise LabError("cannot run modprobe")

    monkeypatch.setattr(process, "run", modprobe)
    assert f"({os.uname().release}) has no IPVS" in str(NetnsBackend().refusal())
    assert NetnsBackend(needs_ipvs=False).refusal() is None
