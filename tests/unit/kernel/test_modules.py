"""Which modules a kernel has, read from a directory that plays its files; sizes of the connection table."""

from pathlib import Path

import pytest

from kernelbal.kernel.modules import (
    ModuleIndex,
    ModuleLoad,
    Presence,
    load_module,
    modprobe_text,
    module_name,
    modules_load_text,
    recommended_bits,
    table_too_small,
)

RELEASE = "6.1.0-9-amd64"
GIB = 1 << 30


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A distribution's kernel with `veth` loaded, `ipv6` built in and IPVS on disk."""
    files = {
        "proc/modules": "veth 32768 0 - Live 0x0000000000000000\n",
        f"lib/modules/{RELEASE}/modules.builtin": "kernel/net/ipv6/ipv6.ko\n",
        f"lib/modules/{RELEASE}/modules.dep": (
            "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/net/netfilter/nf_conntrack.ko.xz\n"
            "kernel/net/netfilter/nf_conntrack.ko.xz:\n"
            "kernel/net/ipv4/netfilter/nf-log.ko:\n"
        ),
    }
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    for shown in ("veth", "tcp_cubic"):
        (tmp_path / "sys/module" / shown).mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize(
    ("name", "presence"),
    [
        ("veth", Presence.LOADED),
        ("ipv6", Presence.BUILT_IN),
        ("tcp_cubic", Presence.BUILT_IN),
        ("ip_vs", Presence.LOADABLE),
        ("nf_log", Presence.LOADABLE),
        ("nf-log", Presence.LOADABLE),
        ("ip_vs_twos", Presence.ABSENT),
    ],
)
def test_presence(root: Path, name: str, presence: Presence) -> None:
    index = ModuleIndex.read(root, RELEASE)
    assert index.presence(name) is presence
    assert index.presence(name).usable is (presence is not Presence.ABSENT)


def test_evidence_counts_where_no_list_names_a_module(tmp_path: Path) -> None:
    (tmp_path / "proc/net").mkdir(parents=True)
    (tmp_path / "proc/net/ip_vs").write_text("IP Virtual Server version 1.2.1\n")
    index = ModuleIndex.read(tmp_path, RELEASE)
    assert index.presence("ip_vs") is Presence.BUILT_IN
    assert index.presence("ip_vs_wlc") is Presence.UNKNOWN


@pytest.mark.parametrize(
    "path", ["kernel/net/ip_vs.ko", "kernel/ip_vs.ko.xz", "ip_vs.ko.zst", "ip-vs.ko.gz\n", "ip_vs"]
)
def test_name_of_a_module_file(path: str) -> None:
    assert module_name(path) == "ip_vs"


def script(tmp_path: Path, text: str) -> tuple[str, ...]:
    path = tmp_path / "fake-modprobe"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return (str(path),)


def test_failed_modprobe_is_a_failure(tmp_path: Path) -> None:
    command = script(tmp_path, "echo 'modprobe: FATAL: Module ip_vs not found.' >&2; exit 1")
    loading = load_module("ip_vs", tmp_path, command)
    assert not loading.loaded
    assert loading.message == "cannot load module ip_vs: FATAL: Module ip_vs not found."
    assert loading.hint


def test_module_that_modprobe_loads_is_loaded(tmp_path: Path) -> None:
    assert load_module("ip_vs", tmp_path, script(tmp_path, '[ "$*" = ip_vs ]')).loaded


def test_failed_modprobe_is_fine_when_the_feature_is_there(tmp_path: Path) -> None:
    command = script(tmp_path, f"mkdir -p {tmp_path}/proc/net; : > {tmp_path}/proc/net/ip_vs; exit 1")
    assert load_module("ip_vs", tmp_path, command) == ModuleLoad("ip_vs", loaded=True)


def test_module_that_is_there_is_not_loaded_again(root: Path) -> None:
    command = script(root, f": > {root}/was-called")
    assert load_module("veth", root, command) == ModuleLoad("veth", loaded=True)
    assert not (root / "was-called").exists()


def test_missing_modprobe_is_named(tmp_path: Path) -> None:
    assert "package kmod" in load_module("ip_vs", tmp_path, ("/nonexistent/modprobe",)).message


@pytest.mark.parametrize(
    ("memory_bytes", "bits"),
    [
        (0, 12),
        (64 << 20, 12),
        (128 << 20, 13),
        (GIB, 16),
        (2 * GIB - 1, 16),
        (4 * GIB, 18),
        (16 * GIB, 20),
        (4096 * GIB, 20),
    ],
)
def test_table_size_follows_memory(memory_bytes: int, bits: int) -> None:
    assert recommended_bits(memory_bytes) == bits


@pytest.mark.parametrize(
    ("size", "connections"),
    [
        pytest.param(0, 10_000, id="no IPVS"),
        pytest.param(4096, 4096, id="one per bucket"),
        pytest.param(1 << 20, 5_000_000, id="nothing larger to recommend"),
    ],
)
def test_table_that_fits(size: int, connections: int) -> None:
    assert table_too_small(size, connections, GIB) == ""


def test_table_that_is_too_small_names_the_remedy() -> None:
    words = table_too_small(4096, 4097, GIB)
    assert "4096 buckets for 4097 connections" in words
    assert "conn_tab_bits=16" in words
    assert "/etc/modprobe.d/kernelbal.conf" in words
    assert "conn_tab_bits=19" in table_too_small(4096, 500_000, GIB)


def test_texts_for_etc() -> None:
    assert modprobe_text(18).splitlines()[-1] == "options ip_vs conn_tab_bits=18"
    lines = [line for line in modules_load_text(["ip_vs", "ip_vs_wlc"]).splitlines() if line[0] != "#"]
    assert lines == ["ip_vs", "ip_vs_wlc"]
