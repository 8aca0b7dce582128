"""`kernelbal realserver verify`: what is verified, on a host in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.address import parse_address
from kernelbal.realserver import host as linux_host
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.run import Host
from kernelbal.realserver.setup import Record
from kernelbal.realserver.store import RecordStore
from kernelbal.realserver.verify import gather as gathering
from kernelbal.realserver.verify.evidence import HostEvidence
from kernelbal.realserver.verify.gather import Outside
from tests.support.fake_host import FakeHost
from tests.unit.cli.desk import Said
from tests.unit.realserver.desk import fake_host
from tests.unit.realserver.samples import HTTP, IPIP, VIP, VIP6, prepared
from tests.unit.realserver.verify.scene import good


@dataclass
class Desk:
    folder: Path
    capsys: pytest.CaptureFixture[str]
    broken: bool = False
    asked: list[tuple[tuple[Preparation, ...], Outside]] = field(default_factory=list)

    def say(self, *options: str) -> Said:
        code = run(["realserver", "verify", "--state-dir", str(self.folder), *options])
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def record(self, *preparations: Preparation) -> None:
        RecordStore(self.folder).save_record(Record(preparations=preparations))

    def gather(self, _: Host, preparations: tuple[Preparation, ...], outside: Outside) -> HostEvidence:
        self.asked.append((preparations, outside))
        (one,) = preparations
        facts = good(one)
        return good(one, host=fake_host().observe()) if self.broken else facts


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    @contextmanager
    def opened() -> Iterator[FakeHost]:
        yield fake_host()

    made = Desk(tmp_path, capsys)
    monkeypatch.setattr(linux_host, "LinuxHost", opened)
    monkeypatch.setattr(gathering, "gather", made.gather)
    monkeypatch.setenv("NO_COLOR", "1")
    return made


def test_what_was_prepared_is_verified(desk: Desk) -> None:
    one = prepared(VIP, Method.LOOPBACK, None, HTTP)
    desk.record(one)
    said = desk.say("--client", "192.0.2.7", "--client", "2001:db8::7", "--director", "10.0.0.1")
    clients = (parse_address("192.0.2.7"), parse_address("2001:db8::7"))
    assert desk.asked == [((one,), Outside(clients, parse_address("10.0.0.1")))]
    assert said.code == ExitCode.OK
    assert said.out.startswith("10.0.0.80/32 dsr loopback, real server 10.0.0.11 by eth0\n  ok ")


def test_faults_are_told_by_the_exit_code(desk: Desk) -> None:
    desk.record(prepared(VIP, Method.LOOPBACK, None, HTTP))
    desk.broken = True
    said = desk.say("--no-probe")
    assert said.code == ExitCode.FAILED
    assert "FAIL     vip" in said.out
    assert desk.asked[0][1].probe is False


def test_ports_can_be_named_later(desk: Desk) -> None:
    desk.record(prepared(VIP))
    desk.say("--port", "80")
    assert desk.asked[0][0] == (prepared(VIP, Method.LOOPBACK, None, HTTP),)


def test_one_of_several(desk: Desk) -> None:
    desk.record(prepared(VIP), prepared(VIP6))
    desk.say("fd00::80")
    assert desk.asked[0][0] == (prepared(VIP6),)


def test_what_others_prepared_is_described(desk: Desk) -> None:
    said = desk.say("10.0.0.80", "--forwarding", "tunnel", "--port", "80")
    assert desk.asked[0][0] == (prepared(VIP, Method.LOOPBACK, IPIP, HTTP),)
    assert "10.0.0.80 was not prepared by kernelbal" in said.err


@pytest.mark.parametrize("named", [("10.0.0.80",), ()])
def test_options_that_say_what_was_prepared(desk: Desk, named: tuple[str, ...]) -> None:
    desk.record(prepared(VIP, Method.ARP, IPIP, HTTP))
    said = desk.say(*named, "--forwarding", "tunnel", "--tunnel", "ipip", "--method", "arp")
    assert (said.code, desk.asked[0][0]) == (ExitCode.OK, (prepared(VIP, Method.ARP, IPIP, HTTP),))


@pytest.mark.parametrize("named", [("10.0.0.80",), ()])
def test_options_that_say_something_else_than_the_record(desk: Desk, named: tuple[str, ...]) -> None:
    """As printed by the director, whose site file has a tunnel where the real server is prepared for dsr."""
    desk.record(prepared(VIP, Method.LOOPBACK, None, HTTP))
    said = desk.say(*named, "--forwarding", "tunnel", "--tunnel", "gre", "--method", "redirect")
    assert (said.code, desk.asked) == (ExitCode.FAILED, [])
    assert (
        "10.0.0.80 was prepared otherwise than the options say: "
        "forwarding dsr, not tunnel gre; method loopback, not redirect\n"
    ) in said.err
    assert (
        "hint: leave them out to verify it as it is, or prepare it anew: kernelbal realserver apply "
        "10.0.0.80 --forwarding tunnel --tunnel gre --method redirect --interface eth0 --real 10.0.0.11 "
        "--port 80/tcp"
    ) in said.err


def test_nothing_to_verify_is_an_error(desk: Desk) -> None:
    said = desk.say()
    assert said.code == ExitCode.FAILED
    assert "kernelbal has prepared nothing on this host" in said.err
    assert "hint: name the address" in said.err


@pytest.mark.parametrize(
    "options", [("--client", "nobody"), ("--director", "x"), ("--port", "0"), ("10.0.0",)]
)
def test_what_was_mistyped_is_named(desk: Desk, options: tuple[str, ...]) -> None:
    desk.record(prepared(VIP))
    said = desk.say(*options)
    assert said.code == ExitCode.USAGE
    assert options[-1] in said.err
