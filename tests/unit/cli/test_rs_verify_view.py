"""Verifications as people and programs read them."""

from dataclasses import replace

import pytest

from kernelbal.cli.rs_verify_view import print_reports, report_document
from kernelbal.health.verification import Claim, Outcome, ServerFacts, Sizes
from kernelbal.health.verify_report import Neighbour, ServerReport, ServiceReport
from kernelbal.model.address import Address, parse_address
from kernelbal.model.choices import ForwardingName
from kernelbal.model.health import Health, ProbeState
from tests.unit.health.scene import site_of

LONG = "2001:db8:1111:2222:3333:4444:5555:6666"
SERVERS = f'{{address: 10.0.0.11, name: rs1}}, {{address: 10.0.0.12}}, {{address: "{LONG}", name: rs3}}'
(SERVICE,) = site_of(servers=SERVERS, forwarding="tunnel").virtual_services
UP, DOWN = ProbeState(Health.UP), ProbeState(Health.DOWN, 1.0, "timeout after 2 s: no answer", 1.0)
FACTS = ServerFacts(
    ForwardingName.TUNNEL,
    Address(SERVICE.address),
    "--port 80/tcp",
    (Outcome(80, UP, UP),),
    sizes=Sizes(1500, 1500, 1500, 20, 1440),
)
THIEF = Claim("00:50:56:00:00:12", "VMware, Inc.")
BAD = replace(FACTS, outcomes=(Outcome(80, UP, DOWN),), claim=THIEF, sizes=Sizes(1500, 1500, None, 20))
NAT = ServerFacts(ForwardingName.NAT, Address(SERVICE.address), "--port 80/tcp", (Outcome(80, UP),))
REPORT = ServiceReport(
    SERVICE,
    "eth0",
    holds=True,
    asked=True,
    neighbours=(Neighbour(THIEF, parse_address("10.0.0.12")),),
    servers=tuple(map(ServerReport, SERVICE.real_servers, (FACTS, BAD, FACTS))),
)


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")


def test_table_fits_eighty_columns(capsys: pytest.CaptureFixture[str]) -> None:
    print_reports([REPORT])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "web 192.0.2.10:80/tcp tunnel"
    said = " ".join(line.strip() for line in lines)
    assert (
        "this director holds 192.0.2.10; on `eth0` also answers for it: real server 10.0.0.12, "
        "00:50:56:00:00:12 (VMware, Inc.)" in said
    )
    assert [line.split() for line in lines if line.startswith(("rs1", "10.0.0.12", LONG))] == [
        ["rs1", "10.0.0.11", "ok", "ok", "ok", "1480", "1440", "ok"],
        ["10.0.0.12", "ok", "FAIL", "FAIL", "?", "?", "FAIL"],
        [LONG, "ok", "ok", "ok", "1480", "1440", "ok"],
    ]
    assert "hint: on the real server: kernelbal realserver apply 192.0.2.10 --port 80/tcp" in said
    assert lines[-1] == "FAIL: 3 real servers: 2 ok, 1 FAIL, 0 unknown"


@pytest.mark.parametrize(
    ("facts", "cells"),
    [
        (NAT, ["ok", "-", "ok", "-", "-", "ok"]),
        (
            replace(FACTS, outcomes=(Outcome(53, UP, UP, False),)),
            ["ok", "?", "ok", "1480", "1440", "unknown"],
        ),
        (replace(FACTS, outcomes=()), ["-", "?", "ok", "1480", "1440", "unknown"]),
        (replace(FACTS, outcomes=(Outcome(80, DOWN, DOWN),)), ["FAIL", "FAIL", "ok", "1480", "1440", "FAIL"]),
        (
            replace(FACTS, outcomes=(Outcome(80, UP, UP), Outcome(443, UP, DOWN))),
            ["ok", "FAIL", "ok", "1480", "1440", "FAIL"],
        ),
    ],
)
def test_cells(capsys: pytest.CaptureFixture[str], facts: ServerFacts, cells: list[str]) -> None:
    print_reports([replace(REPORT, servers=(ServerReport(SERVICE.real_servers[1], facts),))])
    (row,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("10.0.0.12")]
    assert row.split()[1:] == cells


@pytest.mark.parametrize(
    ("report", "words"),
    [
        (
            replace(REPORT, neighbours=()),
            "this director holds 192.0.2.10; on `eth0` also answers for it: nobody",
        ),
        (replace(REPORT, holds=False, neighbours=()), "does not hold 192.0.2.10; on `eth0` nobody answers"),
        (replace(REPORT, asked=False), "this director holds 192.0.2.10; `eth0` has no neighbours to ask"),
    ],
)
def test_who_holds_the_address(capsys: pytest.CaptureFixture[str], report: ServiceReport, words: str) -> None:
    print_reports([report])
    assert words in " ".join(line.strip() for line in capsys.readouterr().out.splitlines())


def test_json() -> None:
    document = report_document([REPORT])
    assert document["verdict"] == "FAIL"
    (service,) = document["services"]
    assert (service["name"], service["device"], service["holds_address"]) == ("web", "eth0", True)
    assert service["neighbours"] == [
        {"mac": "00:50:56:00:00:12", "vendor": "VMware, Inc.", "real_server": "10.0.0.12"}
    ]
    good, bad, _ = service["real_servers"]
    assert (good["verdict"], good["client_packet_bytes"], good["mss_bytes"]) == ("ok", 1480, 1440)
    assert bad["checks"] == [
        {
            "port": 80,
            "own_address": {"health": "up", "reason": "", "response_s": None},
            "virtual_address": {
                "health": "down",
                "reason": "timeout after 2 s: no answer",
                "response_s": None,
            },
            "conclusive": True,
        }
    ]
    assert [each["subject"] for each in bad["findings"]] == ["virtual address", "neighbours"]
