"""Which kernel QEMU boots."""

import platform

import pytest

from kernelbal.lab.stock_kernel import own_suite


@pytest.mark.parametrize(
    ("release", "suite"),
    [
        ({"ID": "debian", "VERSION_CODENAME": "bookworm"}, "bookworm"),
        ({"ID": "ubuntu", "VERSION_CODENAME": "noble"}, "trixie"),
        ({"ID": "debian"}, "trixie"),
    ],
)
def test_debian_boots_its_own_kernel(
    monkeypatch: pytest.MonkeyPatch, release: dict[str, str], suite: str
) -> None:
    monkeypatch.setattr(platform, "freedesktop_os_release", lambda: release)
    assert own_suite() == suite
