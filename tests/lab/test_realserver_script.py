"""The script for real servers without Python, run by `sh` on a real kernel: what it does, and undoes."""

from pathlib import Path
from typing import NamedTuple

import pytest

from kernelbal.config.load import load_site
from kernelbal.lab.demo import snapshot
from kernelbal.lab.demo.servers import who_has
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host, NamespaceLab
from kernelbal.lab.process import Completed
from kernelbal.lab.traffic import http_counts
from kernelbal.realserver.from_site import prepared_by_site
from kernelbal.realserver.preparation import Method
from kernelbal.realserver.script import INTERFACE, script
from kernelbal.render import render
from tests.support.lab_commands import Operator

pytestmark = pytest.mark.needs_ipvs

REAL = {4: ("10.0.0.11", "10.0.0.12", "10.0.0.13"), 6: ("fd00::11", "fd00::12", "fd00::13")}
VIRTUAL = {4: "10.0.0.80", 6: "fd00::80"}
EVERYONE = {"rs1": 2, "rs2": 2, "rs3": 2}


class Case(NamedTuple):
    """One way to serve: what the site file says, and how the real server accepts it."""

    name: str
    forwarding: str
    virtual: int = 4
    real: int = 4
    method: Method = Method.LOOPBACK
    shell: str = "sh"


IPIP = "tunnel, tunnel: {type: ipip}"
GRE = "tunnel, tunnel: {type: gre}"
GUE = "tunnel, tunnel: {type: gue, port: 5555}"
CASES = (
    Case("dsr", "dsr"),
    Case("dsr-busybox", "dsr", shell="busybox sh"),
    Case("dsr-6", "dsr", 6, 6),
    Case("arp", "dsr", method=Method.ARP),
    Case("redirect", "dsr", method=Method.REDIRECT),
    Case("redirect-6", "dsr", 6, 6, Method.REDIRECT),
    Case("ipip", IPIP),
    Case("ipip-6", IPIP, 6, 6),
    Case("4-in-6", IPIP, 4, 6),
    Case("6-in-4", IPIP, 6, 4),
    Case("ipip-arp", IPIP, method=Method.ARP),
    Case("ipip-redirect", IPIP, method=Method.REDIRECT),
    Case("gre", GRE),
    Case("gre-6", GRE, 6, 6),
    Case("gue", GUE),
    Case("gue-6", GUE, 6, 6),
)


def site(case: Case) -> str:
    servers = ", ".join(f'{{address: "{address}"}}' for address in REAL[case.real])
    return f"""\
virtual_services:
  - {{name: web, address: "{VIRTUAL[case.virtual]}", ports: [80], forwarding: {case.forwarding},
     scheduler: rr, real_servers: [{servers}]}}
"""


class Scene:
    """A lab, and the script for its real servers."""

    def __init__(self, lab: LabFactory, folder: Path, case: Case) -> None:
        self.lab: NamespaceLab = lab("one-arm")
        lab.serve(self.lab.real_servers)
        self.folder = folder
        self.program = folder / "prepare.sh"
        self.make(case)

    def make(self, case: Case, document: str = "") -> None:
        """Replace the script."""
        self.case = case
        prepared = prepared_by_site(
            load_site((document or site(case)).encode(), "site.yaml"),
            method=case.method,
            interfaces=(INTERFACE,),
        )
        self.program.write_text(script(prepared, "`web`", render))

    def run(self, host: Host, *words: str, code: int = 0) -> Completed:
        """Run the script on a host and demand its exit code."""
        state = ("--state-dir", str(self.folder / host.name))
        done = host.run([*self.case.shell.split(), str(self.program), *words, *state], check=False)
        assert done.returncode == code, f"{words}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    @property
    def first(self) -> Host:
        return self.lab.real_servers[0]


def wake_tunnels(host: Host) -> None:
    """A device that was up once keeps its queueing discipline; no program could take that back."""
    for device in ("tunl0", "sit0", "ip6tnl0", "gre0", "ip6gre0"):
        for state in ("up", "down"):
            host.run(["ip", "link", "set", device, state])


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_real_servers_serve_and_are_as_before_after_undo(lab: LabFactory, tmp_path: Path, case: Case) -> None:
    scene = Scene(lab, tmp_path, case)
    host = scene.first
    wake_tunnels(host)
    before = snapshot.take(host)
    assert "FAIL" in scene.run(host, "verify", code=1).stdout
    for each in scene.lab.real_servers:
        scene.run(each, "apply")
    Operator(scene.lab, tmp_path).apply(site(case))
    virtual = VIRTUAL[case.virtual]
    assert http_counts(scene.lab.client, virtual, count=6) == EVERYONE
    if case.virtual == 4:
        assert len(who_has(scene.lab.client, virtual)) == 1, "the director alone answers"
    prepared = snapshot.take(host)
    assert scene.run(host, "apply").stdout == "nothing to do: this host is prepared\n"
    assert "FAIL" not in scene.run(host, "verify").stdout
    assert snapshot.differences(prepared, snapshot.take(host)) == []
    scene.run(host, "undo")
    assert snapshot.differences(before, snapshot.take(host)) == []
    assert not (tmp_path / host.name).exists()


def test_a_step_that_fails_takes_back_those_before_it(lab: LabFactory, tmp_path: Path) -> None:
    """The virtual address is on the network already: seen after sysctls and device were changed."""
    scene = Scene(lab, tmp_path, Case("ipip", IPIP))
    host = scene.first
    wake_tunnels(host)
    host.run(["ip", "address", "add", f"{VIRTUAL[4]}/24", "dev", "eth0"])
    host.sysctl("net.ipv4.conf.all.rp_filter", 1)
    before = snapshot.take(host)
    done = scene.run(host, "apply", code=1)
    assert "+ sysctl net/ipv4/conf/tunl0/rp_filter" in done.stdout
    assert "error: 10.0.0.80 is on eth0 as 10.0.0.80/24 already" in done.stderr
    assert "hint: take it away there: ip address delete 10.0.0.80/24 dev eth0" in done.stderr
    assert snapshot.differences(before, snapshot.take(host)) == []
    assert "nothing to undo" in scene.run(host, "undo").stdout


def test_strict_reverse_path_filtering_is_loosened_where_replies_leave_elsewhere(
    lab: LabFactory, tmp_path: Path
) -> None:
    scene = Scene(lab, tmp_path, Case("dsr", "dsr"))
    host = scene.first
    for command in (
        "ip link add out type dummy",
        "ip link set out up",
        "ip address add 192.0.2.1/24 dev out",
        "ip route add default via 192.0.2.254 dev out",
    ):
        host.run(command.split())
    host.sysctl("net.ipv4.conf.all.rp_filter", 1)
    scene.run(host, "apply")
    assert host.sysctl("net.ipv4.conf.eth0.rp_filter") == "2"
    scene.run(host, "undo")
    assert host.sysctl("net.ipv4.conf.eth0.rp_filter") == "0"


def test_a_host_of_both_families_is_prepared_for_both(lab: LabFactory, tmp_path: Path) -> None:
    """Both of its addresses are in the site; what each of them needs ends in one table."""
    cases = (Case("4", "dsr", 4, 4, Method.REDIRECT), Case("6", "dsr", 6, 6, Method.REDIRECT))
    scene = Scene(lab, tmp_path, cases[0])
    both = site(cases[0]) + site(cases[1]).split("\n", 1)[1].replace("name: web", "name: web6")
    scene.make(cases[0], both)
    for host in scene.lab.real_servers:
        scene.run(host, "apply")
    Operator(scene.lab, tmp_path).apply(both)
    for version in (4, 6):
        assert http_counts(scene.lab.client, VIRTUAL[version], count=6) == EVERYONE
    assert "nothing to do" in scene.run(scene.first, "apply").stdout


def test_values_that_an_operator_chose_stay(lab: LabFactory, tmp_path: Path) -> None:
    scene = Scene(lab, tmp_path, Case("dsr", "dsr"))
    host = scene.first
    host.sysctl("net.ipv4.conf.all.arp_ignore", 2)
    assert "all/arp_ignore" not in scene.run(host, "apply").stdout
    assert host.sysctl("net.ipv4.conf.all.arp_ignore") == "2"


def test_a_newer_script_takes_away_what_it_no_longer_wants(lab: LabFactory, tmp_path: Path) -> None:
    scene = Scene(lab, tmp_path, Case("ipip", IPIP))
    host = scene.first
    wake_tunnels(host)
    before = snapshot.take(host)
    scene.run(host, "apply")
    scene.make(Case("dsr", "dsr"))
    said = scene.run(host, "apply").stdout
    assert "- address 10.0.0.80/32%tunl0" in said
    assert "+ address 10.0.0.80/32 on lo" in said
    assert "tunl0" not in host.run(["ip", "link", "show", "up"]).stdout
    scene.run(host, "undo")
    assert snapshot.differences(before, snapshot.take(host)) == []


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ((), "what is to be done?", "sh prepare.sh apply"),
        (("apply", "undo"), "only one thing at a time", "sh prepare.sh"),
        (("apply", "--boot"), "--boot needs systemd", "have this called at boot"),
        (("apply", "--interface", "eth9"), "there is no device eth9", "ip link"),
    ],
)
def test_mistakes_are_told(
    lab: LabFactory, tmp_path: Path, words: tuple[str, ...], message: str, hint: str
) -> None:
    scene = Scene(lab, tmp_path, Case("dsr", "dsr"))
    said = scene.run(scene.first, *words, code=1).stderr
    assert f"error: {message}" in said
    assert f"  hint: {hint}" in said


def test_other_hosts_are_refused(lab: LabFactory, tmp_path: Path) -> None:
    scene = Scene(lab, tmp_path, Case("dsr", "dsr"))
    said = scene.run(scene.lab.client, "apply", code=1).stderr
    assert "this host has none of the real servers' addresses: 10.0.0.11 10.0.0.12 10.0.0.13" in said


def test_read_only_sysctls_are_told_and_nothing_is_done(lab: LabFactory, tmp_path: Path) -> None:
    scene = Scene(lab, tmp_path, Case("dsr", "dsr"))
    read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys"
    command = f"{read_only} && sh {scene.program} apply --state-dir {tmp_path}/ro"
    done = scene.first.run(["unshare", "--mount", "sh", "-c", command], check=False)
    assert done.returncode == 1
    assert "error: cannot write /proc/sys/net/ipv4/conf/all/arp_ignore" in done.stderr
    assert "hint: in a container" in done.stderr
    assert VIRTUAL[4] not in scene.first.run(["ip", "address", "show", "lo"]).stdout


def test_other_interfaces_ask_in_their_own_name(lab: LabFactory, tmp_path: Path) -> None:
    scene = Scene(lab, tmp_path, Case("arp", "dsr", method=Method.ARP))
    host = scene.first
    host.run(["ip", "link", "add", "front0", "type", "veth", "peer", "name", "front1"])
    host.run(["ip", "address", "add", "203.0.113.11/24", "dev", "front0"])
    scene.run(host, "apply")
    shown = host.run(["nft", "list", "chain", "arp", "kernelbal_realserver", "output"]).stdout
    words = "arp saddr ip @virtual4"
    rules = [line.strip() for line in shown.splitlines() if words in line]
    assert rules == [
        f'oifname "eth0" {words} arp saddr ip set 10.0.0.11',
        f'oifname "front0" {words} arp saddr ip set 203.0.113.11',
        f"{words} drop",
    ]
    assert "FAIL" not in scene.run(host, "verify").stdout


TWO = """\
virtual_services:
  - {name: web, address: 10.0.0.80, ports: [80], forwarding: dsr, real_servers: [{address: 10.0.0.11}]}
  - {name: mail, address: 10.0.0.81, ports: [25], forwarding: dsr, real_servers: [{address: 10.0.0.11}]}
"""


def test_an_address_leaves_before_its_silence(lab: LabFactory, tmp_path: Path) -> None:
    case = Case("arp", "dsr", method=Method.ARP)
    scene = Scene(lab, tmp_path, case)
    scene.make(case, TWO)
    host = scene.first
    scene.run(host, "apply")
    assert scene.run(host, "apply").stdout == "nothing to do: this host is prepared\n"
    scene.make(case, TWO[: TWO.index("  - {name: mail")])
    said = scene.run(host, "apply").stdout.splitlines()
    silent = "+ nftables table arp kernelbal_realserver"
    assert said == ["- address 10.0.0.81/32%lo", silent, "this host is prepared"]
    assert (
        "elements = { 10.0.0.80 }" in host.run(["nft", "list", "table", "arp", "kernelbal_realserver"]).stdout
    )
    assert scene.run(host, "apply").stdout == "nothing to do: this host is prepared\n"
    assert "FAIL" not in scene.run(host, "verify").stdout
