"""How a verification is shown."""

import json

import pytest

from kernelbal.cli.realserver_verify_view import print_rows, put_rows
from kernelbal.realserver.verify.row import Finding, Row, fail, ok, skipped
from tests.unit.realserver.samples import VIP, VIP6, prepared

LONG = "1, and the route to 198.51.100.7 leads by eth1: the kernel drops what comes in here"
FIX = "sysctl -w net/ipv4/conf/eth0/rp_filter=2"
EXPECTED = """\
10.0.0.80/32 dsr loopback, real server 10.0.0.11 by eth0
  ok       vip            10.0.0.80/32 dev lo
  FAIL     rp_filter      eth0: 1, and the route to 198.51.100.7 leads by eth1:
                          the kernel drops what comes in here
                          why: because
                          fix: sysctl -w net/ipv4/conf/eth0/rp_filter=2
  skipped  listening      no port is known: name it with --port
  FAIL     answer         eth0: 80/tcp from 198.51.100.7: no answer
                          follows from rp_filter

FAIL: 1 ok, 2 FAIL, 1 skipped; 1 of the FAIL follow from others
"""


def row(requirement: str, finding: Finding, virtual: bytes = VIP) -> Row:
    return Row(requirement, virtual, finding, "because")


ROWS = (
    row("vip", ok("10.0.0.80/32 dev lo")),
    row("rp_filter", fail(LONG, FIX, "eth0")),
    row("listening", skipped("no port is known: name it with --port")),
    row("answer", fail("80/tcp from 198.51.100.7: no answer", "see rp_filter", "eth0", "rp_filter")),
)


def test_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows((prepared(VIP),), ROWS)
    assert capsys.readouterr().out == EXPECTED


def test_each_address_has_its_rows(capsys: pytest.CaptureFixture[str]) -> None:
    rows = (row("vip", ok("here")), row("vip", ok("there"), VIP6))
    print_rows((prepared(VIP), prepared(VIP6)), rows)
    out = capsys.readouterr().out
    assert out.index("10.0.0.80/32") < out.index("here") < out.index("fd00::80/128") < out.index("there")
    assert out.endswith("ok: 2 ok\n")


def test_document(capsys: pytest.CaptureFixture[str]) -> None:
    put_rows(ROWS)
    document = json.loads(capsys.readouterr().out)
    assert (document["schema"], document["verdict"], len(document["checks"])) == (1, "FAIL", 4)
    assert document["checks"][1] == {
        "requirement": "rp_filter",
        "virtual": "10.0.0.80",
        "interface": "eth0",
        "verdict": "FAIL",
        "current": LONG,
        "why": "because",
        "fix": FIX,
        "follows_from": None,
    }
    assert document["checks"][3]["follows_from"] == "rp_filter"
