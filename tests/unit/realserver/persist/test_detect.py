"""Who brings a preparation back: a table over what was found on the host."""

from dataclasses import replace

import pytest

from kernelbal.errors import PlanRefused
from kernelbal.realserver.persist.detect import Detected, Facts, Profile, check, check_programs, detect
from kernelbal.realserver.persist.manager import PROFILE, UNIT_FILE, Manager

BARE = Facts(systemd=True)
NETWORKD = Facts(systemd=True, networkd=True, networkd_devices={"eth0": "/etc/systemd/network/eth0.network"})
EXTERNAL = Profile("connected (externally)", "lo")
NM = Facts(
    systemd=True,
    networkmanager=(1, 42),
    profiles={"eth0": Profile("connected", "Wired"), "lo": EXTERNAL},
)
IFUPDOWN = Facts(systemd=True, ifup=True, stanzas=frozenset({"lo", "eth0"}), sources_ours=True)


def with_lo(profile: Profile) -> Facts:
    return replace(NM, profiles={**NM.profiles, "lo": profile})


@pytest.mark.parametrize(
    ("facts", "detected"),
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
            Detected(Manager.UNIT, "NetworkManager configures eth0, but it is told not to manage lo"),
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
def test_who_configures_the_interface_is_asked(facts: Facts, detected: Detected) -> None:
    assert detect(facts, ("eth0",)) == detected


def test_without_systemd_a_way_out_is_named() -> None:
    with pytest.raises(PlanRefused) as caught:
        detect(replace(IFUPDOWN, systemd=False), ("eth0",))
    assert caught.value.hint is not None
    assert "--persist none" in caught.value.hint
    assert "--print" in caught.value.hint


def test_a_profile_of_lo_that_is_somebody_elses_is_not_fought_with() -> None:
    facts = with_lo(Profile("connected", "mine"))
    with pytest.raises(PlanRefused, match="has the profile `mine` for lo") as caught:
        detect(facts, ("eth0",))
    assert "nmcli connection modify mine +ipv4.addresses" in str(caught.value.hint)
    for manager in (Manager.UNIT, Manager.NETWORKMANAGER):
        with pytest.raises(PlanRefused, match="`mine`"):
            check(facts, manager)


@pytest.mark.parametrize(
    ("facts", "good"),
    [
        (NETWORKD, {Manager.NETWORKD, Manager.UNIT}),
        (NM, {Manager.NETWORKMANAGER, Manager.UNIT}),
        (replace(NM, networkmanager=(1, 41)), {Manager.UNIT}),
        (IFUPDOWN, {Manager.IFUPDOWN, Manager.UNIT}),
        (replace(IFUPDOWN, ifup=False), {Manager.UNIT}),
        (Facts(), set()),
    ],
)
def test_a_manager_that_would_not_read_the_files_is_refused(facts: Facts, good: set[Manager]) -> None:
    for manager in Manager:
        if manager in {*good, Manager.NONE}:
            check(facts, manager)
            continue
        with pytest.raises(PlanRefused, match=f"--persist {manager.value} does nothing here: "):
            check(facts, manager)


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
