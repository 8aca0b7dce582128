"""The script as `sh` and shellcheck see it; `tests/lab/test_realserver_script.py` runs it."""

import os
import re
import shutil
import subprocess
from itertools import product
from pathlib import Path

import pytest

from kernelbal.config.load import load_site
from kernelbal.errors import PlanRefused
from kernelbal.realserver.from_site import prepared_by_site
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.script import INTERFACE, script
from kernelbal.render import render

ADDRESSES = {4: ("10.0.0.80", "10.0.0.11", "10.0.0.12"), 6: ("fd00::80", "fd00::11", "fd00::12")}
TUNNELS = ("", "{type: ipip}", "{type: gre}", "{type: gue, port: 5555}")
RENDERINGS = [
    pytest.param(virtual, real, tunnel, method, id=f"{virtual}in{real}-{tunnel or 'dsr'}-{method.value}")
    for virtual, real, tunnel, method in product((4, 6), (4, 6), TUNNELS, Method)
    if virtual == real or (tunnel and "gre" not in tunnel and method is Method.LOOPBACK)
]
FUNCTION = re.compile(r"^([a-z_]+)\(\) \{", re.MULTILINE)


def service(virtual: int, real: int, tunnel: str, name: str = "web") -> str:
    forwarding = f"tunnel, tunnel: {tunnel}" if tunnel else "dsr"
    address, servers = ADDRESSES[virtual][0], ADDRESSES[real][1:]
    listed = ", ".join(f'{{address: "{each}"}}' for each in servers)
    return (
        f'  - {{name: {name}, address: "{address}", ports: [80], forwarding: {forwarding},\n'
        f"     scheduler: rr, real_servers: [{listed}]}}\n"
    )


def rendered(
    *services: str, method: Method = Method.LOOPBACK, interfaces: tuple[str, ...] = (INTERFACE,)
) -> str:
    site = load_site(("virtual_services:\n" + "".join(services)).encode(), "site.yaml")
    return script(prepared_by_site(site, method=method, interfaces=interfaces), "`web`", render)


def shellcheck(text: str) -> str:
    """What shellcheck says; without it the test is skipped, or fails where CI is set."""
    if shutil.which("shellcheck") is None:
        if os.environ.get("CI"):
            pytest.fail("shellcheck is not installed")
        pytest.skip("shellcheck is not installed")
    command = ["shellcheck", "--shell=sh", "--enable=check-unassigned-uppercase", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(("virtual", "real", "tunnel", "method"), RENDERINGS)
def test_shellcheck_finds_nothing_and_every_step_is_a_function(
    virtual: int, real: int, tunnel: str, method: Method
) -> None:
    text = rendered(service(virtual, real, tunnel), method=method)
    assert shellcheck(text) == ""
    cases = text[text.index("\nfirst() {") : text.index("\ndevice_of()")]
    steps = {line.split()[0] for line in cases.splitlines() if line.startswith(" " * 12)}
    assert steps - {";;", ":"} <= set(FUNCTION.findall(text)), "each is defined"
    assert max(map(len, text.splitlines())) <= 140


def test_shellcheck_would_find_a_fault() -> None:
    assert "SC2086" in shellcheck("#!/bin/sh\necho $1\n")


def test_real_servers_that_need_the_same_stand_together() -> None:
    assert "        10.0.0.11 | 10.0.0.12)\n" in rendered(service(4, 4, ""))
    apart = rendered(service(4, 4, ""), method=Method.REDIRECT)
    assert "        10.0.0.11)\n" in apart
    assert "dnat ip to 10.0.0.12:80" in apart


def test_arp_is_silent_before_an_address_appears() -> None:
    text = rendered(service(4, 4, "{type: ipip}"), method=Method.ARP)
    everything = text[text.index("\neverything() {") :]
    order = [everything.index(step) for step in ("this_host first", "    load_tables", "this_host addresses")]
    assert order == sorted(order)
    assert "address " not in text[text.index("\nfirst() {") : text.index("\naddresses() {")]


def test_devices_that_are_named_are_taken() -> None:
    text = rendered(service(4, 4, ""), interfaces=("eth1.5",))
    assert 'sysctl "net/ipv4/conf/eth1.5/arp_ignore" 1 2\n' in text
    assert 'elsewhere "eth1.5"\n' in text


def test_a_host_of_both_families_gets_one_table_of_both() -> None:
    text = rendered(service(4, 4, "", "web"), service(6, 6, "", "web6"), method=Method.REDIRECT)
    assert text.count("add table inet kernelbal_realserver") == 1
    assert "for real in 10.0.0.11 10.0.0.12 fd00::11 fd00::12; do" in text


@pytest.mark.parametrize("method", [Method.ARP, Method.REDIRECT])
def test_an_own_address_that_the_site_does_not_name_is_left_to_kernelbal(method: Method) -> None:
    with pytest.raises(PlanRefused, match=f"for method {method.value}, fd00::11 needs an address") as caught:
        rendered(service(4, 6, "{type: ipip}"), method=method)
    assert "kernelbal realserver apply" in str(caught.value.hint)


def test_help_is_given_without_root(tmp_path: Path) -> None:
    program = tmp_path / "prepare.sh"
    program.write_text(rendered(service(4, 4, "")))
    done = subprocess.run(["sh", str(program), "prepare"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr == (
        "error: what is prepare?\n"
        "  hint: sh prepare.sh apply [--boot] | verify | undo; also --interface NAME, --state-dir DIRECTORY\n"
    )
