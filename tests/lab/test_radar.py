"""What the radar hears of keepalived on a real segment."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host, NamespaceLab
from tests.support.lab_commands import run_here

pytestmark = pytest.mark.needs_root

INSTANCES = """
global_defs {
    vrrp_version 3
    vrrp_garp_master_repeat 1
}
vrrp_instance v2 {
    version 2
    interface eth0
    virtual_router_id 21
    priority 150
    advert_int 1
    authentication { auth_type PASS auth_pass geheim }
    virtual_ipaddress { 10.0.0.201/32 }
}
vrrp_instance v3 {
    interface eth0
    virtual_router_id 10
    priority 200
    advert_int 0.2
    virtual_ipaddress {
        10.0.0.202/32
        10.0.0.203/32
    }
}
vrrp_instance v6 {
    interface eth0
    virtual_router_id 10
    priority 201
    advert_int 0.2
    virtual_ipaddress {
        fe80::204/128
        fd00::204/128
    }
}
"""


def speak(host: Host, folder: Path) -> None:
    """Let keepalived share addresses."""
    (folder / "keepalived.conf").write_text(INSTANCES)
    files = (f"--use-file={folder}/keepalived.conf", f"--pid={folder}/pid", f"--vrrp_pid={folder}/vrrp.pid")
    host.spawn(["keepalived", "--dont-fork", "--vrrp", "--no-syslog", "--dont-respawn", *files])
    wanted = {"10.0.0.201/32", "10.0.0.202/32", "fd00::204/128"}
    while not wanted <= set(host.run(["ip", "address", "show", "dev", "eth0"]).stdout.split()):
        time.sleep(0.05)


def heard(lab: NamespaceLab, *options: str) -> dict[str, Any]:
    done = run_here(lab.director, ["ha", "radar", "--json", *options])
    assert done.returncode == 0, done
    document: dict[str, Any] = json.loads(done.stdout)["devices"]
    return document


def test_keepalived_is_heard(lab: LabFactory, tmp_path: Path) -> None:
    made = lab("one-arm")
    speaker = made.real_servers[0]
    speak(speaker, tmp_path)
    document = heard(made, "--interface", "eth0", "--for", "1500ms")["eth0"]
    mac = json.loads(speaker.run(["ip", "-json", "link", "show", "dev", "eth0"]).stdout)[0]["address"]
    found = {(each["family"], each["id"]): each for each in document["routers"]}
    assert set(found) == {("ipv4", 21), ("ipv4", 10), ("ipv6", 10)}
    for (family, number), version, priority, interval_ms, addresses, style in (
        (("ipv4", 21), 2, 150, 1000, ["10.0.0.201"], "rfc9568"),
        (("ipv4", 10), 3, 200, 200, ["10.0.0.202", "10.0.0.203"], "rfc5798"),
        (("ipv6", 10), 3, 201, 200, ["fe80::204", "fd00::204"], "rfc9568"),
    ):
        router = found[family, number]
        said = (router["version"], router["priority"], router["interval_ms"], router["addresses"])
        assert said == (version, priority, interval_ms, addresses)
        assert (router["mac"], router["checksum_style"], router["fault"]) == (mac, style, None)
        assert router["router"] == "10.0.0.11" or family == "ipv6"
    assert document["free_ids"]["ipv4"][:2] == [11, 12]
    assert document["free_ids"]["ipv6"][0] == 11


def test_quiet_segment_and_wrong_device(lab: LabFactory) -> None:
    made = lab("one-arm")
    assert heard(made, "--for", "100ms") == {
        "eth0": {
            "routers": [],
            "left_out": 0,
            "free_ids": {"ipv4": [*range(10, 20)], "ipv6": [*range(10, 20)]},
        }
    }
    refused = run_here(made.director, ["ha", "radar", "--interface", "lo"])
    assert refused.returncode == 64
    assert "`lo` is no Ethernet device that is up" in refused.stderr
    assert "take one of: eth0" in refused.stderr
