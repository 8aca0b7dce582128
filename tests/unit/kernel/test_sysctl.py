"""Sysctls in a directory that plays /proc/sys."""

import errno
import os
from pathlib import Path

import pytest

from kernelbal.errors import KernelError
from kernelbal.kernel.sysctl import check_writable, perform_sysctls, read_sysctl, read_sysctls, write_sysctl
from kernelbal.plan.action import Result
from kernelbal.plan.kinds.sysctls import WriteSysctl

REDIRECTS = "net/ipv4/conf/eth0.5/send_redirects"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, value in {REDIRECTS: "1\n", "net/ipv4/vs/sync_threshold": "3\t50\n"}.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(value)
    return tmp_path


def test_values_come_without_end_of_line_and_missing_ones_as_none(root: Path) -> None:
    paths = [REDIRECTS, "net/ipv4/vs/sync_threshold", "net/ipv4/vs/conntrack", f"{REDIRECTS}/more"]
    assert read_sysctls(paths, root) == dict(zip(paths, ["1", "3\t50", None, None], strict=True))


@pytest.mark.parametrize("path", ["../secret", "net/../../secret", "/etc/passwd", "net//x", "./net", ""])
def test_path_that_leaves_the_directory_names_no_sysctl(root: Path, path: str) -> None:
    (root.parent / "secret").write_text("1")
    assert read_sysctl(path, root) is None
    (outcome,) = perform_sysctls([WriteSysctl(path, "", "0", "")], root)
    assert (outcome.result, outcome.errno) == (Result.FAILED, errno.ENOENT)
    assert (root.parent / "secret").read_text() == "1"


def test_unreadable_sysctl_is_an_error(root: Path) -> None:
    with pytest.raises(KernelError, match="is a directory"):
        read_sysctl("net/ipv4", root)


def test_write_returns_what_was_there(root: Path) -> None:
    assert write_sysctl(REDIRECTS, "0", root) == "1"
    assert (root / REDIRECTS).read_text() == "0\n"


def test_writing_what_is_there_is_no_change(root: Path) -> None:
    outcomes = perform_sysctls(
        [
            WriteSysctl(REDIRECTS, "1", "0", ""),
            WriteSysctl(REDIRECTS, "1", "0", ""),
            WriteSysctl("net/ipv4/vs/sync_threshold", "", "3 50", ""),
        ],
        root,
    )
    assert [outcome.result for outcome in outcomes] == [Result.DONE, Result.ALREADY, Result.ALREADY]


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("net/ipv4/vs/conntrack", "modprobe ip_vs"),
        ("net/netfilter/nf_conntrack_max", "modprobe nf_conntrack"),
        ("net/ipv6/conf/eth9/forwarding", "ip link show eth9"),
        ("net/core/rainbow", "too old"),
    ],
)
def test_missing_sysctl_says_what_to_do_and_stops_nothing(root: Path, path: str, hint: str) -> None:
    missing, written = perform_sysctls(
        [WriteSysctl(path, "", "1", ""), WriteSysctl(REDIRECTS, "1", "0", "")], root
    )
    assert (missing.result, missing.errno) == (Result.FAILED, errno.ENOENT)
    assert hint in missing.hint
    assert written.result is Result.DONE


def test_read_only_sysctls_are_found_out_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    write = WriteSysctl("net/ipv4/conf/all/arp_ignore", "0", "1", "why")
    path = tmp_path / write.path
    path.parent.mkdir(parents=True)
    path.write_text("0\n")
    check_writable(write, tmp_path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(KernelError, match=r"cannot write net.ipv4.conf.all.arp_ignore"):
        check_writable(write, tmp_path)
