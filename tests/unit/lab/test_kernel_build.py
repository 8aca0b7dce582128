"""Building the lab kernel: what is checked before and after the hours-long parts."""

import os
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from kernelbal.lab import kernel_build
from kernelbal.lab.errors import KernelBuildError
from kernelbal.lab.kernel_build import missing_options
from kernelbal.lab.kernel_cache import config_fragment

WANTED = "# IPVS\nCONFIG_IP_VS=y\nCONFIG_IP_VS_RR=y\nCONFIG_MODULES=n\n"


def test_options_that_a_kernel_lacks_are_named() -> None:
    assert missing_options(WANTED, "CONFIG_IP_VS=y\n# CONFIG_IP_VS_RR is not set\n") == ["CONFIG_IP_VS_RR"]


def test_module_is_not_built_in() -> None:
    assert missing_options("CONFIG_IP_VS=y", "CONFIG_IP_VS=m") == ["CONFIG_IP_VS"]


def test_every_scheduler_is_wanted() -> None:
    wanted = config_fragment().splitlines()
    for scheduler in ["rr", "wrr", "lc", "wlc", "sh", "mh", "sed", "nq", "fo", "ovf", "lblc", "lblcr", "dh"]:
        assert f"CONFIG_IP_VS_{scheduler.upper()}=y" in wanted


def test_fragment_names_each_option_once() -> None:
    names = [line.split("=")[0] for line in config_fragment().splitlines() if line.startswith("CONFIG_")]
    assert sorted(names) == sorted(set(names))


def test_missing_tools_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None if name in {"flex", "xz"} else "/bin/true")
    with pytest.raises(KernelBuildError) as caught:
        kernel_build._require_tools()
    assert "flex, xz" in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.endswith("flex xz-utils")


def test_full_disk_is_refused_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "not" / "there"))
    monkeypatch.setattr(kernel_build, "TOOLS", ())
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=2**20))
    with pytest.raises(KernelBuildError, match="1 MiB free"):
        kernel_build._require_tools()


def test_build_does_not_say_where_it_was_made() -> None:
    environment = kernel_build._build_environment()
    assert environment["KBUILD_BUILD_HOST"] not in (os.uname().nodename, "")
    assert environment["KBUILD_BUILD_USER"] != os.environ.get("USER", "root")
