"""Verifications as people and programs read them."""

from dataclasses import replace

import pytest

from kernelbal.cli.verification_view import (
    address_reports_document,
    print_address_reports,
    print_service_reports,
    service_reports_document,
)
from kernelbal.health.verification import Answerer, PacketSizes, ProbePair, ServerEvidence
from kernelbal.health.verify_report import Neighbour, ServerReport, ServiceReport
from kernelbal.model.address import Address, parse_address
from kernelbal.model.choices import ForwardingName
from kernelbal.model.health import Health, ProbeState
from kernelbal.model.verification import RequirementResult, fail, ok, unknown
from kernelbal.realserver.verify.requirements import AddressReport
from tests.support.realserver_host import VIP, VIP6, prepared
from tests.unit.health.scene import site_of

LONG = "2001:db8:1111:2222:3333:4444:5555:6666"
SERVERS = f'{{address: 10.0.0.11, name: rs1}}, {{address: 10.0.0.12}}, {{address: "{LONG}", name: rs3}}'
(SERVICE,) = site_of(servers=SERVERS, forwarding="tunnel").virtual_services
UP, DOWN = ProbeState(Health.UP), ProbeState(Health.DOWN, 1.0, "timeout after 2 s: no answer", 1.0)
FACTS = ServerEvidence(
    ForwardingName.TUNNEL,
    Address(SERVICE.address),
    "--port 80/tcp",
    (ProbePair(80, UP, UP),),
    sizes=PacketSizes(1500, 1500, 1500, 20, 1440),
)
THIEF = Answerer("00:50:56:00:00:12", "VMware, Inc.")
BAD = replace(
    FACTS, probes=(ProbePair(80, UP, DOWN),), answers_as=THIEF, sizes=PacketSizes(1500, 1500, None, 20)
)
NAT = ServerEvidence(ForwardingName.NAT, Address(SERVICE.address), "--port 80/tcp", (ProbePair(80, UP),))
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
    print_service_reports([REPORT])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "web 192.0.2.10:80/tcp tunnel"
    done = " ".join(line.strip() for line in lines)
    assert (
        "this director holds 192.0.2.10; on `eth0` also answers for it: real server 10.0.0.12, "
        "00:50:56:00:00:12 (VMware, Inc.)" in done
    )
    assert [line.split() for line in lines if line.startswith(("rs1", "10.0.0.12", LONG))] == [
        ["rs1", "10.0.0.11", "ok", "ok", "ok", "1480", "1440", "ok"],
        ["10.0.0.12", "ok", "FAIL", "FAIL", "?", "?", "FAIL"],
        [LONG, "ok", "ok", "ok", "1480", "1440", "ok"],
    ]
    assert "fix: on the real server: kernelbal realserver apply 192.0.2.10 --port 80/tcp" in done
    assert lines[-1] == "FAIL: 3 real servers: 2 ok, 1 FAIL"


@pytest.mark.parametrize(
    ("evidence", "cells"),
    [
        (NAT, ["ok", "-", "ok", "-", "-", "ok"]),
        (
            replace(FACTS, probes=(ProbePair(53, UP, UP, False),)),
            ["ok", "?", "ok", "1480", "1440", "unknown"],
        ),
        (replace(FACTS, probes=()), ["-", "?", "ok", "1480", "1440", "unknown"]),
        (replace(FACTS, probes=(ProbePair(80, DOWN, DOWN),)), ["FAIL", "FAIL", "ok", "1480", "1440", "FAIL"]),
        (
            replace(FACTS, probes=(ProbePair(80, UP, UP), ProbePair(443, UP, DOWN))),
            ["ok", "FAIL", "ok", "1480", "1440", "FAIL"],
        ),
    ],
)
def test_cells(capsys: pytest.CaptureFixture[str], evidence: ServerEvidence, cells: list[str]) -> None:
    print_service_reports([replace(REPORT, servers=(ServerReport(SERVICE.real_servers[1], evidence),))])
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
    print_service_reports([report])
    assert words in " ".join(line.strip() for line in capsys.readouterr().out.splitlines())


def test_json() -> None:
    document = service_reports_document([REPORT])
    assert document["result"] == "FAIL"
    (service,) = document["services"]
    assert (service["name"], service["device"], service["holds_address"]) == ("web", "eth0", True)
    assert service["neighbours"] == [
        {"mac": "00:50:56:00:00:12", "vendor": "VMware, Inc.", "real_server": "10.0.0.12"}
    ]
    good, bad, _ = service["real_servers"]
    assert (good["result"], good["client_packet_bytes"], good["mss_bytes"]) == ("ok", 1480, 1440)
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
    assert [each["requirement"] for each in bad["results"]] == ["virtual address", "neighbours"]


# --- a real server itself ---

LONG_MESSAGE = "1, and the route to 198.51.100.7 leads by eth1: the kernel drops what comes in here"
FIX = "sysctl -w net/ipv4/conf/eth0/rp_filter=2"
EXPECTED = """\
10.0.0.80/32 dsr loopback, real server 10.0.0.11 by eth0
  ok       vip              10.0.0.80/32 dev lo
  FAIL     rp_filter        eth0: 1, and the route to 198.51.100.7 leads by
                            eth1: the kernel drops what comes in here
                            why: because
                            fix: sysctl -w net/ipv4/conf/eth0/rp_filter=2
  unknown  listening        no port is known: name it with --port
  FAIL     answer           eth0: 80/tcp from 198.51.100.7: no answer
                            a consequence of rp_filter

FAIL: 1 ok, 1 unknown, 2 FAIL; 1 failure is a consequence of another
"""


def of(requirement: str, result: RequirementResult) -> RequirementResult:
    return result._replace(requirement=requirement, why="because")


RESULTS = (
    of("vip", ok("10.0.0.80/32 dev lo")),
    of("rp_filter", fail(LONG_MESSAGE, FIX, "eth0")),
    of("listening", unknown("no port is known: name it with --port")),
    of("answer", fail("80/tcp from 198.51.100.7: no answer", "see rp_filter", "eth0", "rp_filter")),
)


def test_results_of_an_address(capsys: pytest.CaptureFixture[str]) -> None:
    print_address_reports([AddressReport(prepared(VIP), RESULTS)])
    assert capsys.readouterr().out == EXPECTED


def test_each_address_has_its_results(capsys: pytest.CaptureFixture[str]) -> None:
    reports = [AddressReport(prepared(VIP), (of("vip", ok("here")),))]
    print_address_reports([*reports, AddressReport(prepared(VIP6), (of("vip", ok("there")),))])
    out = capsys.readouterr().out
    assert out.index("10.0.0.80/32") < out.index("here") < out.index("fd00::80/128") < out.index("there")
    assert out.endswith("ok: 2 ok\n")


def test_results_of_an_address_as_json() -> None:
    document = address_reports_document([AddressReport(prepared(VIP), RESULTS)])
    (address,) = document["addresses"]
    assert (document["result"], address["virtual"], address["result"]) == ("FAIL", "10.0.0.80", "FAIL")
    assert address["results"][1] == {
        "requirement": "rp_filter",
        "result": "FAIL",
        "device": "eth0",
        "message": LONG_MESSAGE,
        "why": "because",
        "fix": FIX,
        "consequence_of": None,
    }
    assert address["results"][3]["consequence_of"] == "rp_filter"
