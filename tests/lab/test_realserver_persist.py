"""A reboot: persisted files in a fresh namespace, read by those who read them on a real host.

What comes up is compared with what `kernelbal realserver apply` would make, and serves real requests.
"""

import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kernelbal.config.load import load_site
from kernelbal.lab.demo.servers import who_has
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host
from kernelbal.lab.process import Completed
from kernelbal.lab.traffic import http_counts
from kernelbal.model.address import format_address, parse_address
from kernelbal.model.ipvs import TunnelType
from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.from_site import prepared_by_site
from kernelbal.realserver.persist.files import files_for
from kernelbal.realserver.persist.manager import (
    KEYFILE,
    MODULES_FILE,
    NETWORKD_FILE,
    PROFILE,
    SYSCTL_FILE,
    TABLES_FILE,
    UNIT,
    UNIT_FILE,
    WANTED_FILE,
    Manager,
    notifications,
)
from kernelbal.realserver.preparation import Encapsulation, Method, PortMap, Preparation
from kernelbal.realserver.script import INTERFACE, script
from kernelbal.realserver.setup import Setup
from kernelbal.render import render
from tests.support.lab_commands import Operator
from tests.support.lab_realserver_boot import BootingHost, holds, missing, observed

pytestmark = pytest.mark.needs_machine

REAL4, REAL6 = parse_address("10.0.0.11"), parse_address("fd00::11")
GUE_PORT = 5555
PATIENCE_S = 30.0
NETWORKD = ("systemd-networkd.service", "systemd-networkd.socket")
INTERFACES = """\
auto lo
iface lo inet loopback
source /etc/network/interfaces.d/*
"""
BUS_UNIT = """\
[Unit]
DefaultDependencies=no

[Service]
Type=exec
ExecStartPre=mkdir -p /run/dbus
ExecStart=dbus-daemon --config-file=/etc/bus.conf --nofork --nopidfile
"""
BUS = """\
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/> <allow own="*"/> <allow send_type="method_call"/> <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/> <allow receive_type="signal"/>
    <allow receive_type="method_return"/> <allow receive_type="error"/>
  </policy>
</busconfig>
"""


def prepared(
    virtual: str, method: Method = Method.LOOPBACK, kind: TunnelType | None = None, real: bytes = b""
) -> Preparation:
    address = parse_address(virtual)
    own = REAL4 if len(address) == 4 else REAL6
    tunnel = None if kind is None else Encapsulation(kind, GUE_PORT if kind is TunnelType.GUE else 0)
    ports = (PortMap(6, 80, 80),)
    to = type(own)(real) if real else own
    return Preparation(address, to, ("eth0",), method, tunnel, own, ports)


PLAIN = (prepared("10.0.0.80"), prepared("fd00::80"))
VLAN = "eth0.5"
EVERYTHING = (
    *PLAIN,
    prepared("10.0.0.81", Method.ARP),
    prepared("10.0.0.82", Method.REDIRECT),
    prepared("fd00::82", Method.REDIRECT),
    prepared("10.0.0.83", kind=TunnelType.IPIP),
    prepared("10.0.0.84", kind=TunnelType.GRE),
    prepared("10.0.0.85", kind=TunnelType.GUE),
    prepared("10.0.0.86", kind=TunnelType.IPIP, real=REAL6),
    prepared("fd00::83", kind=TunnelType.IPIP),
    prepared("fd00::84", kind=TunnelType.GRE),
    prepared("fd00::86", kind=TunnelType.IPIP, real=REAL4),
)


def site(preparations: tuple[Preparation, ...]) -> str:
    lines = ["virtual_services:"]
    for number, each in enumerate(preparations):
        lines.append(f'  - {{name: s{number}, address: "{format_address(each.virtual)}", ports: [80],')
        lines.append(f"     forwarding: {each.forwarding}, scheduler: rr,")
        if each.tunnel:
            port = f", port: {each.tunnel.port}" if each.tunnel.port else ""
            lines.append(f"     tunnel: {{type: {each.tunnel.kind.name.lower()}{port}}},")
        lines.append(f'     real_servers: [{{address: "{format_address(each.real)}"}}]}}')
    return "\n".join(lines) + "\n"


@pytest.fixture
def made(lab: LabFactory, tmp_path: Path) -> "Scene":
    """A lab whose first real server is about to boot."""
    return Scene(lab, tmp_path)


class Scene:
    """A director, a client, and a real server that boots."""

    def __init__(self, lab: LabFactory, folder: Path, prefix: str = "") -> None:
        folder.mkdir(exist_ok=True)
        self.lab = lab("one-arm", prefix)
        lab.serve(self.lab.real_servers[:1])
        self.host = self.lab["rs1"]
        self.folder = folder

    def setup(self, preparations: tuple[Preparation, ...]) -> Setup:
        return setup_for(preparations, observed(self.host))

    def reboot(self, setup: Setup, manager: Manager, *wanted: str, lo_network: str = "") -> BootingHost:
        machine = BootingHost(self.host, self.folder / "rs1", wanted)
        machine.write(files_for(setup, manager, render, lo_network=lo_network))
        return machine

    def serves(self, preparations: tuple[Preparation, ...]) -> None:
        """Every virtual address is served through the director, and only the director answers for it."""
        Operator(self.lab, self.folder).apply(site(preparations))
        silent = observed(self.host).link("eth0")
        assert silent is not None
        for each in preparations:
            virtual = format_address(each.virtual)
            assert http_counts(self.lab.client, virtual, count=2) == {"rs1": 2}, virtual
            if len(each.virtual) == 4:
                answers = who_has(self.lab.client, virtual)
                assert len(answers) == 1, (virtual, answers)
                assert silent.hardware_address not in answers


def test_the_unit_brings_everything_back(made: Scene) -> None:
    made.host.run(["ip", "link", "add", "link", "eth0", "name", VLAN, "type", "vlan", "id", "5"])
    setup = made.setup((replace(EVERYTHING[0], interfaces=("eth0", VLAN)), *EVERYTHING[1:]))
    assert missing(made.host, setup) != []
    machine = made.reboot(setup, Manager.UNIT)
    machine.boot()
    machine.await_booted()
    assert missing(made.host, setup) == [], machine.log
    made.serves(EVERYTHING)


def test_networkd_brings_addresses_back(made: Scene) -> None:
    setup = made.setup(PLAIN)
    machine = made.reboot(setup, Manager.NETWORKD, *NETWORKD)
    machine.boot()
    machine.await_booted()
    await_address(made.host, setup)
    assert "10-kernelbal-realserver.network" in machine.run("cat", "/run/systemd/netif/links/1").stdout
    assert missing(made.host, setup) == [], machine.log
    assert "127.0.0.1/8" in made.host.run(["ip", "address", "show", "lo"]).stdout
    made.serves(PLAIN)
    forget(machine, setup, NETWORKD_FILE)
    assert "10.0.0.80" not in made.host.run(["ip", "address", "show", "lo"]).stdout


def test_networkd_takes_a_drop_in_where_lo_has_a_file(made: Scene) -> None:
    everywhere = "/etc/systemd/network/05-all.network"
    setup = made.setup(PLAIN)
    machine = made.reboot(setup, Manager.NETWORKD, *NETWORKD, lo_network=everywhere)
    machine.write({everywhere: "[Match]\nName=lo tunl*\n"})
    machine.boot()
    machine.await_booted()
    await_address(made.host, setup)
    assert missing(made.host, setup) == [], machine.log


def test_ifupdown_brings_addresses_back(made: Scene) -> None:
    setup = made.setup(PLAIN)
    machine = made.reboot(setup, Manager.IFUPDOWN, "networking.service")
    machine.write({"/etc/network/interfaces": INTERFACES})
    machine.boot()
    machine.await_booted()
    assert missing(made.host, setup) == [], machine.log
    made.serves(PLAIN)


def test_networkmanager_brings_ipv4_addresses_back(made: Scene) -> None:
    setup = made.setup(PLAIN[:1])
    machine = networkmanager(made, setup)
    machine.boot()
    machine.await_booted()
    await_address(made.host, setup)
    assert (
        f"lo:connected:{PROFILE}"
        in machine.run("nmcli", "-t", "-f", "DEVICE,STATE,CONNECTION", "device").stdout
    )
    assert missing(made.host, setup) == [], machine.log
    lo = made.host.run(["ip", "address", "show", "lo"]).stdout
    assert "127.0.0.1/8" in lo
    assert "::1/128" in lo
    made.serves(PLAIN[:1])
    forget(machine, setup, KEYFILE)
    lo = made.host.run(["ip", "address", "show", "lo"]).stdout
    assert "127.0.0.1/8" in lo
    assert "10.0.0.80" not in lo


def forget(machine: BootingHost, setup: Setup, file: str) -> None:
    """Take an address and its file away, as an undo does, and let the manager settle."""
    for key in setup.addresses:
        machine.run("ip", "address", "delete", *str(key).split())
    machine.run("rm", file)
    for told in notifications({file}, (), ()):
        for command in told.commands:
            machine.run(*command)
    time.sleep(3)


def test_networkmanager_leaves_alone_what_the_unit_has_added(made: Scene) -> None:
    setup = made.setup(PLAIN)
    machine = networkmanager(made, setup)
    machine.boot()
    machine.await_booted()
    time.sleep(5)
    assert (
        "lo:connected (externally):lo"
        in machine.run("nmcli", "-t", "-f", "DEVICE,STATE,CONNECTION", "device").stdout
    )
    assert missing(made.host, setup) == [], machine.log
    made.serves(PLAIN)


@pytest.mark.parametrize(
    ("manager", "wanted"),
    [
        (Manager.UNIT, ()),
        (Manager.NETWORKD, NETWORKD),
        (Manager.IFUPDOWN, ("networking.service",)),
        (Manager.NETWORKMANAGER, ("NetworkManager.service",)),
    ],
    ids=lambda value: value.value if isinstance(value, Manager) else "",
)
def test_arp_is_silent_before_an_address_appears(
    made: Scene, manager: Manager, wanted: tuple[str, ...]
) -> None:
    """Sysctls come seconds late; what did not wait for them would be seen."""
    setup = made.setup(PLAIN[:1])
    if manager is Manager.NETWORKMANAGER:
        machine = networkmanager(made, setup)
    else:
        machine = made.reboot(setup, manager, *wanted)
    machine.write({"/etc/network/interfaces": INTERFACES})
    machine.drop_in("systemd-sysctl.service", "[Service]\nExecStartPre=sleep 5\n")
    machine.boot()
    (key,) = setup.addresses
    seen = []
    deadline_at = time.monotonic() + PATIENCE_S
    while not seen or not seen[-1][1]:
        assert time.monotonic() < deadline_at, machine.log
        seen.append((made.host.sysctl("net.ipv4.conf.all.arp_ignore"), holds(made.host, key)))
        time.sleep(0.1)
    assert len(seen) > 20, "the boot was watched while it waited"
    assert {silent for silent, there in seen if there} == {"1"}


def test_rules_come_back_when_other_rules_are_loaded_anew(made: Scene) -> None:
    """`nftables.service` flushes all tables when it is reloaded, restarted or stopped."""
    preparations = (prepared("10.0.0.81", Method.ARP), prepared("10.0.0.82", Method.REDIRECT))
    setup = made.setup(preparations)
    machine = made.reboot(setup, Manager.UNIT, "nftables.service")
    machine.write({"/etc/nftables.conf": "flush ruleset\ntable inet theirs\n"})
    machine.boot()
    machine.await_booted()
    assert missing(made.host, setup) == [], machine.log
    for order in ("reload", "restart"):
        machine.run("systemctl", order, "nftables.service")
        machine.await_booted()
        assert missing(made.host, setup) == [], order
    made.serves(preparations)
    machine.run("systemctl", "stop", "nftables.service")
    (key,) = setup.addresses
    assert not holds(made.host, key), "without the table that keeps ARP silent about it"


def test_a_script_brings_back_what_it_did(lab: LabFactory, tmp_path: Path) -> None:
    preparations = (
        *PLAIN,
        prepared("10.0.0.85", kind=TunnelType.GUE),
        prepared("10.0.0.86", kind=TunnelType.IPIP, real=REAL6),
    )
    document = site(preparations)
    program = tmp_path / "prepare.sh"
    for_site = prepared_by_site(load_site(document.encode(), "site.yaml"), interfaces=(INTERFACE,))
    program.write_text(script(for_site, "all", render))
    before = Scene(lab, tmp_path / "before")
    first = before.reboot(Setup(), Manager.NONE)
    etc = files_below(first.folder / "etc")
    first.boot()
    first.await_booted()
    said = first.run("sh", str(program), "apply", "--boot").stdout
    assert said.endswith("this host is prepared\n")
    assert first.run("systemctl", "is-active", UNIT).stdout == "active\n"
    assert first.run("sh", str(program), "apply").stdout == "nothing to do: this host is prepared\n"
    written = {path: text for path, text in files_below(first.folder / "etc").items() if path not in etc}
    assert set(written) == {
        path.removeprefix("/etc/")
        for path in (SYSCTL_FILE, MODULES_FILE, TABLES_FILE, UNIT_FILE, WANTED_FILE)
    }
    after = Scene(lab, tmp_path / "after", "after-")
    setup = after.setup(preparations)
    second = after.reboot(Setup(), Manager.NONE)
    second.write({f"/etc/{path}": text for path, text in written.items()})
    second.boot()
    second.await_booted()
    assert missing(after.host, setup) == [], second.log
    after.serves(preparations)
    first.run("sh", str(program), "undo")
    assert files_below(first.folder / "etc") == etc
    assert first.run("ls", "/etc/systemd/system").stdout == ""


def test_a_unit_that_goes_takes_no_address_along(made: Scene) -> None:
    """It removes addresses that an ARP table keeps silent when it is stopped; now they are there to stay."""
    machine = made.reboot(Setup(), Manager.NONE, *NETWORKD)
    machine.write({"/etc/systemd/network/05-all.network": "[Match]\nName=lo tunl*\n"})
    machine.boot()
    machine.await_booted()
    for persist in ("networkd", "none"):
        kernelbal(machine, "apply", "10.0.0.80", "--method", "arp", "--persist", "networkd")
        assert machine.run("systemctl", "is-active", UNIT).stdout == "active\n"
        kernelbal(machine, "apply", "10.0.0.80", "--persist", persist)
        assert machine.run("systemctl", "is-active", UNIT, check=False).stdout == "inactive\n"
        assert "10.0.0.80" in made.host.run(["ip", "address", "show", "lo"]).stdout
    assert machine.run("ls", "/etc/systemd/network").stdout == "05-all.network\n"
    kernelbal(machine, "apply", "10.0.0.80", "--persist", "networkd")
    assert machine.run("ls", "/etc/systemd/network").stdout == "05-all.network\n05-all.network.d\n"
    kernelbal(machine, "undo")
    assert machine.run("ls", "/etc/systemd/network", "/etc/systemd/system").stdout == (
        "/etc/systemd/network:\n05-all.network\n\n/etc/systemd/system:\n"
    )
    assert "10.0.0.80" not in made.host.run(["ip", "address", "show", "lo"]).stdout


def test_a_unit_that_fails_is_told_at_once_and_not_by_the_next_boot(made: Scene) -> None:
    machine = made.reboot(Setup(), Manager.NONE)
    machine.drop_in(UNIT, "[Service]\nExecStartPre=false\n")
    machine.boot()
    machine.await_booted()
    for _ in range(2):
        said = kernelbal(machine, "apply", "10.0.0.80", "--method", "arp", code=1).stderr
        assert f"warning: `systemctl start {UNIT}` failed: Job for {UNIT} failed" in said
        assert said.endswith("this host is prepared only until its next boot\n")
    machine.drop_in(UNIT, "")
    machine.run("systemctl", "daemon-reload")
    kernelbal(machine, "apply", "10.0.0.80", "--method", "arp")
    assert machine.run("systemctl", "is-active", UNIT).stdout == "active\n"


def kernelbal(machine: BootingHost, command: str, *options: str, code: int = 0) -> Completed:
    """Run `kernelbal realserver` beside systemd, and demand its exit code."""
    argv = [sys.executable, "-m", "kernelbal", "realserver", command, *options]
    done = machine.run(*argv, check=False)
    assert done.returncode == code, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}{machine.log}"
    return done


def files_below(folder: Path) -> dict[str, str]:
    """Text of all ordinary files by their path."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): path.read_text(errors="replace") for path in found}


def networkmanager(made: Scene, setup: Setup) -> BootingHost:
    machine = made.reboot(setup, Manager.NETWORKMANAGER, "NetworkManager.service")
    (machine.folder / "units/dbus.service").write_text(BUS_UNIT)
    machine.drop_in("NetworkManager.service", "[Unit]\nRequires=dbus.service\n\n[Service]\nType=exec\n")
    machine.write(
        {
            "/etc/bus.conf": BUS,
            "/etc/NetworkManager/conf.d/lab.conf": "[device]\nmatch-device=interface-name:eth0\nmanaged=0\n",
        }
    )
    return machine


def await_address(host: Host, setup: Setup) -> None:
    """Wait until a manager that answers before it is done has added the addresses."""
    deadline_at = time.monotonic() + PATIENCE_S
    while not all(holds(host, key) for key in setup.addresses):
        assert time.monotonic() < deadline_at, "the addresses do not come"
        time.sleep(0.2)
