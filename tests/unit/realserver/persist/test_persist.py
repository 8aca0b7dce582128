"""What brings a real server back at boot: detected, written, and told to the managers."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from kernelbal.errors import PlanRefused
from kernelbal.model.address import format_address
from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.persist import programs
from kernelbal.realserver.persist.detect import (
    Detected,
    NetworkConfiguration,
    Profile,
    check,
    check_programs,
    detect,
)
from kernelbal.realserver.persist.files import UNDO, files_for, native_addresses, networkd_path, unit_template
from kernelbal.realserver.persist.manager import (
    INTERFACES_FILE,
    KEYFILE,
    MODULES_FILE,
    NETWORKD_DIRECTORY,
    NETWORKD_FILE,
    PROFILE,
    SYSCTL_FILE,
    TABLES_FILE,
    UNIT,
    UNIT_FILE,
    UNIT_IF_LOADED,
    WANTED_FILE,
    Manager,
    Notification,
    drop_in_directory,
    file_mode,
    notifications,
)
from kernelbal.realserver.persist.observe import read_network_configuration
from kernelbal.realserver.persist.programs import answer, failure
from kernelbal.realserver.preparation import Encapsulation, Method, Preparation
from kernelbal.realserver.setup import Setup
from kernelbal.render import render
from tests.support.realserver_host import GRE, GUE, HTTP, IPIP, REAL, REAL6, VIP, VIP6, host, prepared
from tests.support.systemd import analyze

# --- who brings a preparation back: a table over what was found on the host ---


BARE = NetworkConfiguration(systemd=True)
NETWORKD = NetworkConfiguration(
    systemd=True, networkd=True, networkd_devices={"eth0": "/etc/systemd/network/eth0.network"}
)
EXTERNAL = Profile("connected (externally)", "lo")
NM = NetworkConfiguration(
    systemd=True, networkmanager=(1, 42), profiles={"eth0": Profile("connected", "Wired"), "lo": EXTERNAL}
)
IFUPDOWN = NetworkConfiguration(systemd=True, ifup=True, stanzas=frozenset({"lo", "eth0"}), sources_ours=True)


def with_lo(profile: Profile) -> NetworkConfiguration:
    return replace(NM, profiles={**NM.profiles, "lo": profile})


@pytest.mark.parametrize(
    ("found", "detected"),
    [
        (NETWORKD, Detected(Manager.NETWORKD, "systemd-networkd configures eth0")),
        (NM, Detected(Manager.NETWORKMANAGER, "NetworkManager configures eth0")),
        (
            with_lo(Profile("connected", PROFILE)),
            Detected(Manager.NETWORKMANAGER, "NetworkManager configures eth0"),
        ),
        (IFUPDOWN, Detected(Manager.IFUPDOWN, "ifupdown configures eth0")),
        (BARE, Detected(Manager.UNIT, "none of the known network managers configures eth0")),
        (
            replace(NETWORKD, networkd_devices={"eth1": "/etc/systemd/network/eth1.network"}),
            Detected(Manager.UNIT, "none of the known network managers configures eth0"),
        ),
        (
            replace(NM, networkmanager=(1, 30)),
            Detected(
                Manager.UNIT,
                "NetworkManager configures eth0, but version 1.30 does not configure lo (1.42 does)",
            ),
        ),
        (
            with_lo(Profile("unmanaged", "")),
            Detected(Manager.UNIT, "NetworkManager configures eth0, but its configuration leaves lo alone"),
        ),
        (
            replace(NM, profiles={"eth0": Profile("unmanaged", ""), "lo": EXTERNAL}),
            Detected(Manager.UNIT, "none of the known network managers configures eth0"),
        ),
        (
            replace(IFUPDOWN, sources_ours=False),
            Detected(
                Manager.UNIT,
                "ifupdown configures eth0, but /etc/network/interfaces does not source "
                "/etc/network/interfaces.d/*",
            ),
        ),
        (
            replace(IFUPDOWN, stanzas=frozenset({"lo"})),
            Detected(Manager.UNIT, "none of the known network managers configures eth0"),
        ),
    ],
)
def test_who_configures_the_interface_is_asked(found: NetworkConfiguration, detected: Detected) -> None:
    assert detect(found, ("eth0",)) == detected


def test_without_systemd_a_way_out_is_named() -> None:
    with pytest.raises(PlanRefused) as caught:
        detect(replace(IFUPDOWN, systemd=False), ("eth0",))
    assert caught.value.hint is not None
    assert "--persist none" in caught.value.hint
    assert "--print" in caught.value.hint


def test_a_profile_of_lo_that_is_somebody_elses_is_not_fought_with() -> None:
    found = with_lo(Profile("connected", "mine"))
    with pytest.raises(PlanRefused, match="has the profile `mine` for lo") as caught:
        detect(found, ("eth0",))
    assert "nmcli connection modify mine +ipv4.addresses" in str(caught.value.hint)
    for manager in (Manager.UNIT, Manager.NETWORKMANAGER):
        with pytest.raises(PlanRefused, match="`mine`"):
            check(found, manager)


@pytest.mark.parametrize(
    ("found", "good"),
    [
        (NETWORKD, {Manager.NETWORKD, Manager.UNIT}),
        (NM, {Manager.NETWORKMANAGER, Manager.UNIT}),
        (replace(NM, networkmanager=(1, 41)), {Manager.UNIT}),
        (IFUPDOWN, {Manager.IFUPDOWN, Manager.UNIT}),
        (replace(IFUPDOWN, ifup=False), {Manager.UNIT}),
        (NetworkConfiguration(), set()),
    ],
)
def test_a_manager_that_would_not_read_the_files_is_refused(
    found: NetworkConfiguration, good: set[Manager]
) -> None:
    for manager in Manager:
        if manager in {*good, Manager.NONE}:
            check(found, manager)
            continue
        with pytest.raises(PlanRefused, match=f"--persist {manager.value} has no effect here: "):
            check(found, manager)


UNIT_TEXT = "[Service]\nExecStart=-ip link add x type gre\nExecStart=nft -f /etc/x.nft\nExecStart=/bin/true\n"


@pytest.mark.parametrize(
    ("programs", "package"),
    [({"ip"}, "nftables"), ({"nft"}, "iproute2"), (set(), "iproute2 nftables")],
    ids=str,
)
def test_a_unit_whose_programs_are_missing_is_refused(programs: set[str], package: str) -> None:
    found = replace(BARE, programs=frozenset(programs))
    with pytest.raises(PlanRefused, match="not installed: `") as refused:
        check_programs(found, {UNIT_FILE: UNIT_TEXT})
    assert f"apt install {package};" in (refused.value.hint or "")


def test_programs_that_nothing_calls_need_not_be_there() -> None:
    check_programs(BARE, {UNIT_FILE: "[Service]\nExecStart=/bin/true\n"})
    check_programs(BARE, {"/etc/other": UNIT_TEXT})
    check_programs(replace(BARE, programs=frozenset({"ip", "nft"})), {UNIT_FILE: UNIT_TEXT})


# --- what a host's network is configured by, read from a file system made for it ---


def made(root: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def saying(answers: Mapping[str, str]) -> object:
    def ask(command: Sequence[str]) -> str:
        return answers.get(" ".join(command), "")

    return ask


def configuration(root: Path, answers: Mapping[str, str] | None = None) -> NetworkConfiguration:
    return read_network_configuration(root, saying(answers or {}))  # type: ignore[arg-type] # a function of that shape


def configured(file: str) -> str:
    return f"ADMIN_STATE=configured\nOPER_STATE=routable\nNETWORK_FILE={file}\n"


SYSTEMD = {"run/systemd/system/.keep": ""}


def test_an_empty_host_has_nothing(tmp_path: Path) -> None:
    assert configuration(tmp_path) == NetworkConfiguration()


def test_networkd_tells_by_index_which_file_a_device_has(tmp_path: Path) -> None:
    root = made(
        tmp_path,
        {
            **SYSTEMD,
            "sys/class/net/lo/ifindex": "1\n",
            "sys/class/net/eth0/ifindex": "7\n",
            "sys/class/net/eth1/ifindex": "8\n",
            "run/systemd/netif/links/1": configured("/etc/systemd/network/lo.network"),
            "run/systemd/netif/links/7": configured("/run/systemd/network/a.network"),
            "run/systemd/netif/links/8": "ADMIN_STATE=unmanaged\n",
        },
    )
    found = configuration(root, {"systemctl is-active systemd-networkd.service": "active\n"})
    assert found.networkd
    assert found.networkd_devices == {
        "eth0": "/run/systemd/network/a.network",
        "lo": "/etc/systemd/network/lo.network",
    }
    assert found.lo_network == "/etc/systemd/network/lo.network"
    assert not configuration(root, {"systemctl is-active systemd-networkd.service": "inactive\n"}).networkd


def test_networkmanager_is_asked_for_its_version_and_its_devices(tmp_path: Path) -> None:
    answers = {
        "systemctl is-active NetworkManager.service": "active\n",
        "nmcli --version": "nmcli tool, version 1.42.4-1.fc38\n",
        "nmcli --terse --fields DEVICE,STATE,CONNECTION device": (
            "eth0:connected:Wired\\: one\nlo:connected (externally):lo\nbr\\:0:unmanaged:\n"
        ),
    }
    found = configuration(made(tmp_path, SYSTEMD), answers)
    assert found.networkmanager == (1, 42)
    assert found.profiles == {
        "eth0": Profile("connected", "Wired: one"),
        "lo": Profile("connected (externally)", "lo"),
        "br:0": Profile("unmanaged", ""),
    }


@pytest.mark.parametrize(
    ("interfaces", "sources"),
    [
        ("source /etc/network/interfaces.d/*\n", True),
        ("source interfaces.d/*\n", True),
        ("source-directory /etc/network/interfaces.d\n", True),
        ("source-directory interfaces.d/\n", True),
        ("source /etc/network/interfaces.d/*.cfg\n", False),
        ("# source /etc/network/interfaces.d/*\n", False),
        ("auto lo\niface lo inet loopback\n", False),
        ("source '/etc/network/unbalanced\n", False),
    ],
)
def test_ifupdown_reads_our_file_where_it_is_sourced(tmp_path: Path, interfaces: str, sources: bool) -> None:
    root = made(tmp_path, {"usr/sbin/ifup": "", "etc/network/interfaces": interfaces})
    found = configuration(root)
    assert found.ifup
    assert found.sources_ours is sources


def test_stanzas_are_found_in_sourced_files_too(tmp_path: Path) -> None:
    root = made(
        tmp_path,
        {
            "etc/network/interfaces": "source interfaces.d/*\niface lo inet loopback\n",
            "etc/network/interfaces.d/one": "iface eth0 inet static\n  address 10.0.0.11/24\n",
            "etc/network/interfaces.d/two": "iface eth1:0 inet static\nsource-directory ../more.d\n",
            "etc/network/more.d/three": "iface eth2 \\\n inet manual\n",
            "etc/network/more.d/not.read": "iface eth3 inet manual\n",
        },
    )
    (root / "etc/network/interfaces.d/two").write_text("iface eth1:0 inet static\nsource-directory more.d\n")
    assert configuration(root).stanzas == {"lo", "eth0", "eth1", "eth2"}


def test_files_that_source_each_other_end(tmp_path: Path) -> None:
    root = made(tmp_path, {"etc/network/interfaces": "source interfaces\niface lo inet loopback\n"})
    assert configuration(root).stanzas == {"lo"}


def test_programs_are_found_where_systemd_looks(tmp_path: Path) -> None:
    root = made(tmp_path, {"usr/local/sbin/nft": "", "opt/bin/ip": ""})
    assert configuration(root).programs == {"nft"}


# --- every file for every manager, method and family; the lab boots with them ---


NATIVE = {Manager.NETWORKD: NETWORKD_FILE, Manager.NETWORKMANAGER: KEYFILE, Manager.IFUPDOWN: INTERFACES_FILE}
WRITING = [each for each in Manager if each is not Manager.NONE]
TUNNELS: tuple[Encapsulation | None, ...] = (None, IPIP, GRE, GUE)
EVERY = [
    pytest.param(
        manager,
        method,
        tunnel,
        virtual,
        real,
        id=f"{manager.value}-{method.value}-{tunnel}-{len(virtual)}in{len(real)}",
    )
    for manager, method, tunnel, virtual, real in product(
        WRITING, Method, TUNNELS, (VIP, VIP6), (REAL, REAL6)
    )
    if tunnel in (IPIP, GRE, GUE) or len(virtual) == len(real)
]
FIRST_COMMANDS = ("ip link", "/bin/sh -c", "/usr/lib/systemd/systemd-sysctl", "nft -f", "ip address replace")


def setup(*preparations: Preparation) -> Setup:
    return setup_for(preparations, host())


def written(manager: Manager, *preparations: Preparation) -> dict[str, str]:
    return files_for(setup(*preparations), manager, render)


def commands(unit: str) -> list[str]:
    return re.findall(r"^ExecStart=-?(.*)$", unit, re.MULTILINE)


@pytest.mark.parametrize(("manager", "method", "tunnel", "virtual", "real"), EVERY)
def test_everything_of_a_setup_is_in_the_files(
    manager: Manager,
    method: Method,
    tunnel: Encapsulation | None,
    virtual: bytes,
    real: bytes,
    tmp_path: Path,
) -> None:
    wanted = setup(prepared(virtual, method, tunnel, HTTP, real=real))
    files = files_for(wanted, manager, render)
    for sysctl in wanted.sysctls:
        assert f"{sysctl.path.replace('/', '.')} = {sysctl.value}\n" in files[SYSCTL_FILE]
        assert f"# {sysctl.reason}\n" in files[SYSCTL_FILE]
    for module in wanted.modules:
        assert f"\n{module}\n" in files[MODULES_FILE]
    for table in wanted.tables:
        assert f"\ntable {table.title} {{\n" in files[TABLES_FILE]
    started = commands(files.get(UNIT_FILE, ""))
    for link in wanted.links:
        assert f"ip link set {link.name} up" in started
    for listener in wanted.listeners:
        assert any(f"fou add port {listener.port} gue" in command for command in started)
    for key in wanted.addresses:
        text = f"{format_address(key.address)}/{key.prefix}"
        holders = [path for path, content in files.items() if text in content and path != TABLES_FILE]
        assert holders in ([UNIT_FILE], [NATIVE.get(manager)])
    places = [
        next(i for i, word in enumerate(FIRST_COMMANDS) if command.startswith(word)) for command in started
    ]
    assert places == sorted(places), "devices, listeners, sysctls, tables, addresses"
    assert all(text.startswith("# Made by kernelbal") and UNDO in text for text in files.values())
    assert (UNIT_FILE in files) == (WANTED_FILE in files)


def test_nothing_is_written_for_nobody() -> None:
    assert written(Manager.NONE, prepared()) == {}


def test_sysctls_and_a_file_of_the_manager_are_all_that_direct_server_return_needs() -> None:
    for manager, path in NATIVE.items():
        assert list(written(manager, prepared())) == [SYSCTL_FILE, path]
    assert list(written(Manager.UNIT, prepared())) == [SYSCTL_FILE, UNIT_FILE, WANTED_FILE]
    assert list(written(Manager.NETWORKD, prepared(VIP6))) == [NETWORKD_FILE]


def test_networkmanager_cannot_deprecate_an_address() -> None:
    assert KEYFILE not in written(Manager.NETWORKMANAGER, prepared(), prepared(VIP6))
    assert KEYFILE in written(Manager.NETWORKMANAGER, prepared())


def test_an_address_waits_for_the_table_that_keeps_it_silent() -> None:
    for manager in NATIVE:
        files = written(manager, prepared(method=Method.ARP))
        assert native_addresses(setup(prepared(method=Method.ARP)), manager) == {}
        assert list(files) == [TABLES_FILE, UNIT_FILE, WANTED_FILE]
        assert "ExecStop=-ip address delete 10.0.0.80/32 dev lo\n" in files[UNIT_FILE]
    assert "ExecStop" not in written(Manager.UNIT, prepared(method=Method.REDIRECT))[UNIT_FILE]


def test_a_unit_with_tables_follows_those_who_flush_them() -> None:
    follows = "PartOf=nftables.service\nReloadPropagatedFrom=nftables.service\n"
    assert follows in written(Manager.UNIT, prepared(method=Method.ARP))[UNIT_FILE]
    assert follows not in written(Manager.UNIT, prepared())[UNIT_FILE]


def test_networkd() -> None:
    text = written(Manager.NETWORKD, prepared(), prepared(VIP6))[NETWORKD_FILE]
    assert text.endswith(
        """\
[Match]
Name=lo

[Link]
RequiredForOnline=no

[Network]
LinkLocalAddressing=no

[Address]
Address=10.0.0.80/32

[Address]
Address=fd00::80/128
PreferredLifetime=0
DuplicateAddressDetection=none
"""
    )


@pytest.mark.parametrize(
    ("lo_network", "path"),
    [
        ("", NETWORKD_FILE),
        (NETWORKD_FILE, NETWORKD_FILE),
        (
            "/run/systemd/network/10-netplan-lo.network",
            "/etc/systemd/network/10-netplan-lo.network.d/kernelbal-realserver.conf",
        ),
    ],
)
def test_a_device_has_one_network_file(lo_network: str, path: str) -> None:
    assert networkd_path(lo_network) == path
    text = files_for(setup(prepared()), Manager.NETWORKD, render, lo_network=lo_network)[path]
    assert ("[Match]" in text) == (path == NETWORKD_FILE)


def test_networkmanager() -> None:
    text = written(Manager.NETWORKMANAGER, prepared())[KEYFILE]
    assert "[ipv4]\nmethod=manual\naddress1=127.0.0.1/8\naddress2=10.0.0.80/32\n" in text
    assert "[ipv6]\nmethod=manual\naddress1=::1/128\n" in text


def test_ifupdown() -> None:
    text = written(Manager.IFUPDOWN, prepared(), prepared(VIP6))[INTERFACES_FILE]
    assert "iface lo inet static\n    address 10.0.0.80/32\n" in text
    assert (
        "iface lo inet6 static\n    address fd00::80/128\n    preferred-lifetime 0\n    dad-attempts 0\n"
        in text
    )


def test_dots_of_a_device_and_values_of_an_operator_stay() -> None:
    wanted = setup(prepared(interfaces=("eth0.100",)))
    text = files_for(wanted, Manager.UNIT, render, values={"net/ipv4/conf/all/arp_ignore": "2"})[SYSCTL_FILE]
    assert "net.ipv4.conf.all.arp_ignore = 2\n" in text
    assert "net/ipv4/conf/eth0.100/arp_ignore = 1\n" in text


@pytest.mark.parametrize("method", Method)
@pytest.mark.parametrize("tunnel", [None, GUE])
def test_systemd_finds_nothing_wrong(method: Method, tunnel: Encapsulation | None, tmp_path: Path) -> None:
    unit = tmp_path / "kernelbal-realserver.service"
    unit.write_text(written(Manager.UNIT, prepared(VIP, method, tunnel, HTTP)).get(UNIT_FILE, ""))
    done = analyze(unit, "verify", "--man=no")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_script_fills_in_what_it_finds() -> None:
    text = unit_template(render, tables=True, undo="sh prepare.sh undo")
    assert "\n${starts}\n" in text
    assert "\n${stops}\n" in text
    assert "ExecReload=nft -f" in text
    assert "ExecReload" not in unit_template(render, tables=False, undo="sh prepare.sh undo")


# --- permissions of files, and what a manager is told ---


def test_only_root_may_read_a_keyfile() -> None:
    assert file_mode(KEYFILE) == 0o600
    assert file_mode(UNIT_FILE) == file_mode(NETWORKD_FILE) == 0o644


def test_only_drop_ins_have_a_directory_for_themselves() -> None:
    network = f"{NETWORKD_DIRECTORY}/05-all.network.d"
    assert drop_in_directory(f"{network}/kernelbal-realserver.conf") == network
    assert drop_in_directory(WANTED_FILE) == "/etc/systemd/system/multi-user.target.d"
    shared = (SYSCTL_FILE, MODULES_FILE, TABLES_FILE, UNIT_FILE, NETWORKD_FILE, KEYFILE, INTERFACES_FILE)
    assert {drop_in_directory(path) for path in shared} == {""}


RELOAD, START = ("systemctl", "daemon-reload"), ("systemctl", "start", UNIT)
STOP = ("systemctl", "stop", UNIT_IF_LOADED)


def commands_of(*notified: Notification) -> list[tuple[str, ...]]:
    return [command for each in notified for command in each.commands]


def test_systemd_reads_anew_before_it_starts_a_unit_or_stops_one() -> None:
    """What it would do on a stop is forgotten then; it would take addresses away that are there to stay."""
    both = {UNIT_FILE, SYSCTL_FILE}
    assert commands_of(*notifications((), both, both)) == [RELOAD, START]
    assert commands_of(*notifications({UNIT_FILE}, (), ())) == [RELOAD, STOP]


def test_a_unit_that_has_failed_is_started_by_every_run() -> None:
    assert commands_of(*notifications((), (), {UNIT_FILE})) == [START]


def test_only_a_unit_that_does_not_start_is_missed_at_boot() -> None:
    assert all(each.at_boot for each in notifications((), {UNIT_FILE}, {UNIT_FILE}))
    assert all(each.at_boot for each in notifications((), (), {UNIT_FILE}))
    assert not any(each.at_boot for each in notifications({UNIT_FILE, KEYFILE}, (), ()))


def test_networkmanager_forgets_a_profile_and_learns_of_one_at_boot() -> None:
    """Activating a profile of `lo` takes away what others have added there."""
    assert notifications((), {KEYFILE}, {KEYFILE}) == ()
    assert commands_of(*notifications({KEYFILE}, (), ())) == [("nmcli", "connection", "reload")]
    assert notifications({SYSCTL_FILE, NETWORKD_FILE}, (), ()) == ()


# --- programs of the host that answer, fail, hang, or are not there ---


def test_programs_that_fail_or_are_missing_have_no_answer() -> None:
    assert answer(("printf", "said")) == "said"
    assert answer(("sh", "-c", "echo said; exit 1")) == ""
    assert answer(("no-such-program",)) == ""


def test_a_fault_is_told_in_one_line_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failure(("true",)) == ""
    assert failure(("false",)) == "`false` failed: exit code 1"
    assert failure(("no-such-program", "-x")) == "`no-such-program -x` failed: No such file or directory"
    said = failure(("sh", "-c", "printf 'Job failed.\\nSee the log.\\n' >&2; exit 1"))
    assert said.endswith("` failed: Job failed. See the log.")
    monkeypatch.setattr(programs, "CHANGE_LIMIT_S", 0.01)
    assert failure(("sleep", "5")) == "`sleep 5` failed: no end after 0.01 s"
