"""`kernelbal plan`: what apply would do, and to whom."""

import pytest

from kernelbal.cli import plan_view
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.plan.kinds.sync_daemons import SYNC_DAEMONS, SyncDaemon, SyncRole
from kernelbal.plan.kinds.tables import ReplaceTable
from tests.support.builders import connected, service, virtual
from tests.support.cli_harness import SITE, WEB, WITHOUT_SECOND, B, DirectorCli, without_ipvs

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


def test_plan_is_data_and_notes_are_talk(cli: DirectorCli) -> None:
    assert cli.run("plan") == (ExitCode.OK, PLAN, NOTE)


def test_plan_changes_nothing_and_records_nothing(cli: DirectorCli) -> None:
    cli.run("plan")
    assert cli.kernel.performed == []
    assert not cli.state_dir.exists()


def test_nothing_to_do_is_said(cli: DirectorCli) -> None:
    cli.apply(SITE)
    assert cli.run("plan").out == "no changes: kernel matches site.yaml\n"


def test_detailed_exit_code_tells_whether_there_are_changes(cli: DirectorCli) -> None:
    assert cli.run("plan", "--detailed-exitcode").code == ExitCode.CHANGES
    cli.apply(SITE)
    assert cli.run("plan", "--detailed-exitcode").code == ExitCode.OK


def test_drain_under_way_is_no_change(cli: DirectorCli) -> None:
    cli.apply(SITE)
    cli.kernel.load(WEB, active=1)
    cli.apply(WITHOUT_SECOND)
    cli.sleep(8)
    done = cli.run("plan", "--detailed-exitcode")
    assert (done.code, done.out) == (
        ExitCode.OK,
        "  draining 10.0.0.12:80 of `web`: 1 connection, 12 s left\n"
        "no changes: kernel matches site.yaml; 1 draining\n",
    )


def test_impact_stands_beside_the_action(cli: DirectorCli) -> None:
    cli.apply(SITE)
    cli.kernel.counters[WEB][B] = connected(312)
    cli.write(WITHOUT_SECOND)
    assert cli.run("plan").out.startswith(
        "~ real server 10.0.0.12:80 of `web` 192.0.2.10:80/tcp weight 100 -> 0, removed within 20s"
        "  [no new connections; 312 connections have 20 s to end]\n"
    )
    assert cli.run("plan", "--cut").out.startswith(
        "- real server 10.0.0.12:80 of `web` 192.0.2.10:80/tcp  [312 active connections would be cut]\n"
    )


def test_foreign_and_adopted_objects_are_named(cli: DirectorCli) -> None:
    other = service("2001:db8::9", 443)
    cli.kernel.services = {WEB: virtual(), other: virtual(prefix=128)}
    cli.kernel.foreign_tables = ("ip filter", "inet firewalld")
    cli.kernel.objects[SYNC_DAEMONS.name] = {SyncRole.MASTER: SyncDaemon("eth1", 7)}
    assert cli.run("plan").err == NOTE + (
        "  note: 1 IPVS service was there already and becomes kernelbal's: 192.0.2.10:80/tcp\n"
        "  foreign IPVS service [2001:db8::9]:443/tcp: not kernelbal's, left alone\n"
        "  foreign sync daemon master: not kernelbal's, left alone\n"
        "  foreign nftables table ip filter: not kernelbal's, left alone\n"
        "  foreign nftables table inet firewalld: not kernelbal's, left alone\n"
    )


def test_large_plan_is_cut_short(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_view, "SHOWN_ACTIONS", 2)
    lines = PLAN.splitlines()
    assert cli.run("plan").out.splitlines() == [*lines[:2], "  ... and 3 more (--all shows them)", lines[-1]]
    assert cli.run("plan", "--all").out == PLAN


def test_json_holds_every_action(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_view, "SHOWN_ACTIONS", 2)
    cli.kernel.services = {WEB: virtual(scheduler="rr")}
    done = cli.run("plan", "--json", "--detailed-exitcode")
    assert (done.code, done.err) == (ExitCode.CHANGES, "")
    document = done.document
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


def test_json_holds_drains_and_foreign_objects(cli: DirectorCli) -> None:
    cli.kernel.services[service("192.0.2.9", 1)] = virtual()
    cli.kernel.foreign_tables = ("ip filter",)
    cli.kernel.objects[SYNC_DAEMONS.name] = {SyncRole.MASTER: SyncDaemon("eth1", 7)}
    cli.apply(SITE)
    cli.kernel.load(WEB, active=3)
    cli.apply(WITHOUT_SECOND)
    document = cli.run("plan", "--json").document
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
        "sync_daemons": ["master"],
        "nftables_tables": ["ip filter"],
    }


# --- nftables ---


def test_rules_are_shown_below_the_table(cli: DirectorCli) -> None:
    cli.write(ONE_ARMED)
    lines = cli.run("plan").out.splitlines()
    at = lines.index("+ nftables table inet kernelbal")
    assert lines[at + 1].startswith("    table inet kernelbal {")
    assert any("masquerade" in line for line in lines[at:])


def test_kernel_checks_the_rules_before_they_are_promised(cli: DirectorCli) -> None:
    cli.write(ONE_ARMED)
    cli.forbid(ReplaceTable)
    done = cli.run("plan")
    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert "error: refused by the test" in done.err


def test_rules_that_are_there_are_not_checked_again(cli: DirectorCli) -> None:
    cli.apply(ONE_ARMED)
    cli.refuse(ReplaceTable)
    assert cli.run("plan").code == ExitCode.OK


# --- refusals ---


def test_service_without_a_way_back_is_refused(cli: DirectorCli) -> None:
    cli.write(SITE.replace("10.0.0.1", "192.0.2.1"))
    done = cli.run("plan")
    assert (done.code, done.out) == (ExitCode.FAILED, "")
    assert done.err == (
        "error: this would not work, and nothing was changed\n"
        "  virtual service `web`: real servers 192.0.2.12, 192.0.2.11: on `eth0`, the side of the clients, so"
        " replies go straight to the clients or their router instead of back through the director\n"
        "  hint: set `one_armed: true` on the service, or make the director their default gateway and use"
        " --force (--force makes this a warning)\n"
    )


def test_force_makes_it_a_warning(cli: DirectorCli) -> None:
    cli.write(SITE.replace("10.0.0.1", "192.0.2.1"))
    done = cli.run("plan", "--force")
    assert done.code == ExitCode.OK
    assert "warning: virtual service `web`: real servers 192.0.2.12, 192.0.2.11" in done.err
    assert "+ service `web`" in done.out


def test_real_server_without_a_route_is_a_warning(cli: DirectorCli) -> None:
    cli.write(SITE.replace("10.0.0.11", "172.16.0.1"))
    done = cli.run("plan")
    assert done.code == ExitCode.OK
    assert "warning: virtual service `web`: real server 172.16.0.1: no route\n  hint: add a route" in done.err


@pytest.mark.parametrize("document", ["site", "node"])
def test_missing_document_is_no_input(cli: DirectorCli, document: str) -> None:
    path = getattr(cli, document)
    path.unlink()
    assert cli.run("plan") == (
        ExitCode.NO_INPUT,
        "",
        f"error: cannot read {path}: No such file or directory\n"
        f"  hint: name the {document} document, or create {path}\n",
    )


def test_kernel_without_ipvs_can_be_planned_for(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    without_ipvs(cli, monkeypatch)
    done = cli.run("plan")
    assert (done.code, done.out) == (ExitCode.OK, PLAN)
    assert (
        "warning: this kernel has no IPVS, or did not load its module\n  hint: modprobe ip_vs\n" in done.err
    )


def test_damaged_record_is_a_state_error(cli: DirectorCli) -> None:
    cli.apply(SITE)
    (cli.state_dir / "owned.json").write_text("{")
    done = cli.run("plan")
    assert (done.code, done.out) == (ExitCode.STATE, "")
    assert "it is damaged" in done.err
    assert "  hint: " in done.err
