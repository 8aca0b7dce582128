"""`kernelbal plan`: what apply would do, and to whom."""

import pytest

from kernelbal.cli import plan_view
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.plan.actions import ReplaceTable
from tests.unit.cli.desk import SITE, WEB, WITHOUT_SECOND, B, Desk, without_ipvs
from tests.unit.plan.samples import connected, service, virtual

PLAN = """\
~ sysctl net.ipv4.ip_forward 0 -> 1  # The director routes replies of NAT services.
+ service `web` 192.0.2.10:80/tcp wlc
+ real server 10.0.0.12:80 of `web` 192.0.2.10:80/tcp nat weight 100
+ real server 10.0.0.11:80 of `web` 192.0.2.10:80/tcp nat weight 50
+ address 192.0.2.10/32 dev eth0
4 to add, 1 to change, 0 to remove
"""
NOTE = "  note: this kernel has no sysctl net.ipv4.vs.snat_reroute; left out\n"
ONE_ARMED = SITE.replace("forwarding: nat", "forwarding: nat\n    one_armed: true")


def test_plan_is_data_and_notes_are_talk(desk: Desk) -> None:
    assert desk.say("plan") == (ExitCode.OK, PLAN, NOTE)


def test_plan_changes_nothing_and_records_nothing(desk: Desk) -> None:
    desk.say("plan")
    assert desk.kernel.performed == []
    assert not desk.state_dir.exists()


def test_nothing_to_do_is_said(desk: Desk) -> None:
    desk.apply(SITE)
    assert desk.say("plan").out == "no changes: kernel matches site.yaml\n"


def test_detailed_exit_code_tells_whether_there_are_changes(desk: Desk) -> None:
    assert desk.say("plan", "--detailed-exitcode").code == ExitCode.CHANGES
    desk.apply(SITE)
    assert desk.say("plan", "--detailed-exitcode").code == ExitCode.OK


def test_drain_under_way_is_no_change(desk: Desk) -> None:
    desk.apply(SITE)
    desk.kernel.load(WEB, active=1)
    desk.apply(WITHOUT_SECOND)
    desk.sleep(8)
    said = desk.say("plan", "--detailed-exitcode")
    assert (said.code, said.out) == (
        ExitCode.OK,
        "  draining 10.0.0.12:80 of `web`: 1 connection, 12 s left\n"
        "no changes: kernel matches site.yaml; 1 draining\n",
    )


def test_impact_stands_beside_the_action(desk: Desk) -> None:
    desk.apply(SITE)
    desk.kernel.counters[WEB][B] = connected(312)
    desk.write(WITHOUT_SECOND)
    assert desk.say("plan").out.startswith(
        "~ real server 10.0.0.12:80 of `web` 192.0.2.10:80/tcp weight 100 -> 0, removed within 20s"
        "  [no new connections; 312 connections have 20 s to end]\n"
    )
    assert desk.say("plan", "--cut").out.startswith(
        "- real server 10.0.0.12:80 of `web` 192.0.2.10:80/tcp  [312 active connections would be cut]\n"
    )


def test_foreign_and_adopted_objects_are_named(desk: Desk) -> None:
    other = service("2001:db8::9", 443)
    desk.kernel.services = {WEB: virtual(), other: virtual(prefix=128)}
    desk.kernel.foreign_nft = ("ip filter", "inet firewalld")
    assert desk.say("plan").err == NOTE + (
        "  note: 1 IPVS service was there already and becomes kernelbal's: 192.0.2.10:80/tcp\n"
        "  foreign service [2001:db8::9]:443/tcp: not kernelbal's, left alone\n"
        "  foreign nftables tables: ip filter, inet firewalld; left alone\n"
    )


def test_large_plan_is_cut_short_unless_all_is_asked_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_view, "SHOWN_ACTIONS", 2)
    lines = PLAN.splitlines()
    assert desk.say("plan").out.splitlines() == [*lines[:2], "  ... and 3 more (--all shows them)", lines[-1]]
    assert desk.say("plan", "--all").out == PLAN


def test_json_holds_every_action(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_view, "SHOWN_ACTIONS", 2)
    desk.kernel.services = {WEB: virtual(scheduler="rr")}
    said = desk.say("plan", "--json", "--detailed-exitcode")
    assert (said.code, said.err) == (ExitCode.CHANGES, "")
    document = said.document
    assert list(document) == [
        "schema",
        "changes",
        "adds",
        "edits",
        "removes",
        "actions",
        "draining",
        "foreign",
        "borrowed_addresses",
        "captured_addresses",
        "adopted",
        "missing_sysctls",
    ]
    assert (document["schema"], document["changes"], len(document["actions"])) == (1, 5, 5)
    assert document["actions"][1] == {
        "kind": "EditService",
        "sign": "~",
        "text": "service `web` 192.0.2.10:80/tcp scheduler rr -> wlc",
        "impact": "new connections only",
        "detail": None,
    }
    assert document["actions"][-1]["impact"] is None
    assert document["adopted"] == ["192.0.2.10:80/tcp"]
    assert document["missing_sysctls"] == ["net/ipv4/vs/snat_reroute"]


def test_json_holds_drains_and_foreign_objects(desk: Desk) -> None:
    desk.kernel.services[service("192.0.2.9", 1)] = virtual()
    desk.kernel.foreign_nft = ("ip filter",)
    desk.apply(SITE)
    desk.kernel.load(WEB, active=3)
    desk.apply(WITHOUT_SECOND)
    document = desk.say("plan", "--json").document
    assert document["draining"] == [
        {
            "service": "192.0.2.10:80/tcp",
            "name": "web",
            "real_server": "10.0.0.12:80",
            "connections": 3,
            "left_s": 20.0,
        }
    ]
    assert document["foreign"] == {
        "services": ["192.0.2.9:1/tcp"],
        "addresses": [],
        "nftables_tables": ["ip filter"],
    }


# --- nftables ---


def test_rules_are_shown_below_the_table(desk: Desk) -> None:
    desk.write(ONE_ARMED)
    lines = desk.say("plan").out.splitlines()
    at = lines.index("+ nftables table inet kernelbal")
    assert lines[at + 1].startswith("    table inet kernelbal {")
    assert any("masquerade" in line for line in lines[at:])


def test_kernel_checks_the_rules_before_they_are_promised(desk: Desk) -> None:
    desk.write(ONE_ARMED)
    desk.refuse(ReplaceTable)
    said = desk.say("plan")
    assert (said.code, said.out) == (ExitCode.FAILED, "")
    assert "error: refused by the test" in said.err


def test_rules_that_are_there_are_not_checked_again(desk: Desk) -> None:
    desk.apply(ONE_ARMED)
    desk.refuse(ReplaceTable)
    assert desk.say("plan").code == ExitCode.OK


# --- refusals ---


def test_service_without_a_way_back_is_refused(desk: Desk) -> None:
    desk.write(SITE.replace("10.0.0.1", "192.0.2.1"))
    said = desk.say("plan")
    assert (said.code, said.out) == (ExitCode.FAILED, "")
    assert said.err == (
        "error: this would not work, and nothing was changed\n"
        "  virtual service `web`: real servers 192.0.2.12, 192.0.2.11: on `eth0`, the side of the clients, so"
        " replies go straight to the clients or their router instead of back through the director\n"
        "  hint: set `one_armed: true` on the service, or make the director their default gateway and use"
        " --force (--force makes this a warning)\n"
    )


def test_force_makes_it_a_warning(desk: Desk) -> None:
    desk.write(SITE.replace("10.0.0.1", "192.0.2.1"))
    said = desk.say("plan", "--force")
    assert said.code == ExitCode.OK
    assert "warning: virtual service `web`: real servers 192.0.2.12, 192.0.2.11" in said.err
    assert "+ service `web`" in said.out


def test_real_server_without_a_route_is_a_warning(desk: Desk) -> None:
    desk.write(SITE.replace("10.0.0.11", "172.16.0.1"))
    said = desk.say("plan")
    assert said.code == ExitCode.OK
    assert "warning: virtual service `web`: real server 172.16.0.1: no route\n  hint: add a route" in said.err


@pytest.mark.parametrize("document", ["site", "node"])
def test_missing_document_is_no_input(desk: Desk, document: str) -> None:
    path = getattr(desk, document)
    path.unlink()
    assert desk.say("plan") == (
        ExitCode.NO_INPUT,
        "",
        f"error: cannot read {path}: No such file or directory\n"
        f"  hint: name the {document} document, or create {path}\n",
    )


def test_kernel_without_ipvs_can_be_planned_for(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    without_ipvs(desk, monkeypatch)
    said = desk.say("plan")
    assert (said.code, said.out) == (ExitCode.OK, PLAN)
    assert (
        "warning: this kernel has no IPVS, or did not load its module\n  hint: modprobe ip_vs\n" in said.err
    )


def test_damaged_record_is_a_state_error(desk: Desk) -> None:
    desk.apply(SITE)
    (desk.state_dir / "owned.json").write_text("{")
    said = desk.say("plan")
    assert (said.code, said.out) == (ExitCode.STATE, "")
    assert "it is damaged" in said.err
    assert "  hint: " in said.err
