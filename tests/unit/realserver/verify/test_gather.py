"""What is read from files, and what is made of it; the rest is proved in the lab."""

from pathlib import Path

import pytest

from kernelbal.errors import NotSupported
from kernelbal.kernel.nftables import Nftables
from kernelbal.model.address import parse_address
from kernelbal.realserver.verify import gather
from kernelbal.realserver.verify.evidence import Ruleset
from kernelbal.realserver.verify.gather import read_ruleset, read_unusable

IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fd000000000000000000000000000080 01 80 00 c2       lo
fd000000000000000000000000000081 01 80 00 48     eth0
fd000000000000000000000000000011 02 40 00 80     eth0
"""


def test_addresses_that_are_not_in_use(tmp_path: Path) -> None:
    file = tmp_path / "if_inet6"
    file.write_text(IF_INET6)
    found = read_unusable(file)
    assert found[parse_address("fd00::80")] == "tentative"
    assert "another host has it" in found[parse_address("fd00::81")]
    assert len(found) == 2
    assert read_unusable(tmp_path / "nothing") == {}


def fake(objects: list[dict[str, object]]) -> object:
    class Fake:
        def ruleset(self) -> list[dict[str, object]]:
            return objects

    return Fake()


def test_rules_of_others_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = {"table": {"family": "inet", "name": "filter"}}
    rule = {"rule": {"family": "inet", "table": "filter", "chain": "input", "expr": []}}
    ours = [
        {"table": {"family": "inet", "name": "kernelbal_realserver"}},
        {"chain": {"family": "arp", "table": "kernelbal_realserver", "name": "input"}},
    ]
    monkeypatch.setattr(Nftables, "open", classmethod(lambda _: fake([theirs, *ours, rule])))
    (tmp_path / "ip_tables_names").write_text("nat\nfilter\n")
    assert read_ruleset(tmp_path) == Ruleset((theirs, rule), legacy=("iptables nat", "iptables filter"))


def test_missing_library_is_a_fact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: type) -> Nftables:
        raise NotSupported("open nftables", "", 2, "libnftables.so.1 is missing", "apt install libnftables1")

    monkeypatch.setattr(gather.Nftables, "open", classmethod(refuse))
    assert read_ruleset(tmp_path).unreadable == "libnftables.so.1 is missing (apt install libnftables1)"
