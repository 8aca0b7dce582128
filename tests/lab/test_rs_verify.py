"""`kernelbal rs verify` on a real kernel: mistakes on real servers, one by one, and what it makes of them."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from kernelbal.lab.factory import LabFactory
from kernelbal.lab.namespaces import Host, NamespaceLab
from kernelbal.lab.process import Completed
from tests.lab.commands import NODE
from tests.lab.test_forwarding import METHODS, REAL, VIRTUAL, Method, direct
from tests.lab.test_path_checks import site_of

pytestmark = pytest.mark.needs_ipvs

BY_NAME = {method.name: method for method in METHODS}
OK, FAIL, UNKNOWN = "ok", "FAIL", "unknown"
ALL_OK = {"rs1": OK, "rs2": OK, "rs3": OK}
RS2_FAILS = {"rs1": OK, "rs2": FAIL, "rs3": OK}


@dataclass
class Report:
    """What a run said."""

    document: dict[str, Any]

    @property
    def service(self) -> dict[str, Any]:
        (found,) = self.document["services"]
        return dict(found)

    def server(self, name: str) -> dict[str, Any]:
        return dict(self.service["real_servers"][int(name[2:]) - 1])

    @property
    def verdicts(self) -> dict[str, str]:
        servers = self.service["real_servers"]
        return {f"rs{number}": server["verdict"] for number, server in enumerate(servers, 1)}

    def told(self, name: str) -> str:
        """Message and hint of everything that is wrong with a real server."""
        return "\n".join(f"{each['message']}\n{each['hint']}" for each in self.server(name)["findings"])


@dataclass
class Verifier:
    """Somebody at a director who verifies."""

    lab: NamespaceLab
    folder: Path
    method: Method

    def __post_init__(self) -> None:
        (self.folder / "node.yaml").write_text(NODE[self.lab.topology.name])
        self.write()

    @property
    def virtual(self) -> str:
        return VIRTUAL[self.method.virtual]

    def write(self, protocol: str = "tcp", port: str = "80", check: str = "tcp: {}") -> None:
        text = site_of(self.method, self.virtual, protocol, port, check=check, networks="")
        (self.folder / "site.yaml").write_text(text)

    def hold(self) -> None:
        """Be the active director."""
        prefix = "/32" if self.method.virtual == 4 else "/128"
        more = [] if self.method.virtual == 4 else ["nodad", "preferred_lft", "0"]
        self.lab.director.run(["ip", "address", "add", self.virtual + prefix, "dev", "eth0", *more])

    @property
    def command(self) -> list[str]:
        documents = ["--site", str(self.folder / "site.yaml"), "--node", str(self.folder / "node.yaml")]
        state = ["--state-dir", str(self.folder / "state")]
        return [sys.executable, "-m", "kernelbal", "rs", "verify", *documents, *state]

    def run(self, *options: str) -> Completed:
        return self.lab.director.run([*self.command, *options], check=False, timeout_s=120)

    def report(self) -> Report:
        done = self.run("--json")
        assert done.stdout, done.stderr
        report = Report(json.loads(done.stdout))
        assert done.returncode == (1 if report.document["verdict"] == FAIL else 0), done.stderr
        return report


def clamp(host: Host, version: int, mss_bytes: int) -> None:
    """Let a real server ask for small segments."""
    route = "change 10.0.0.0/24 dev eth0" if version == 4 else "add fd00::/64 dev eth0 metric 100"
    host.run(["ip", "route", *route.split(), "advmss", str(mss_bytes)])


ROOM = {"dsr": 1500, "dsr-6": 1500, "ipip": 1480, "ipip-6": 1460, "4-in-6": 1460, "6-in-4": 1480}
ROOM |= {"gre": 1476, "gre-6": 1456, "gue": 1468, "gue-checksum": 1468}


def prepared(lab: LabFactory, folder: Path, name: str, *, without: str = "") -> Verifier:
    """A site whose real servers can do their part, but for one."""
    made = lab("one-arm")
    method = BY_NAME[name]
    lab.serve(made.real_servers)
    for host in made.real_servers:
        clamp(host, method.virtual, ROOM[name] - (40 if method.virtual == 4 else 60))
        if host.name != without:
            method.prepare(host, VIRTUAL[method.virtual])
    return Verifier(made, folder, method)


@pytest.mark.parametrize("holds", [True, False], ids=["active", "standby"])
@pytest.mark.parametrize("name", ROOM)
def test_real_servers_that_can_do_their_part_are_ok(
    lab: LabFactory, tmp_path: Path, name: str, holds: bool
) -> None:
    at = prepared(lab, tmp_path, name)
    if holds:
        at.hold()
    report = at.report()
    print(json.dumps(report.document, indent=1))
    print(at.run().stdout)
    assert report.verdicts == ALL_OK
    assert report.service["holds_address"] is holds
    assert report.server("rs1")["client_packet_bytes"] == ROOM[name]
    assert report.server("rs1")["mss_bytes"] == ROOM[name] - (40 if at.method.virtual == 4 else 60)
