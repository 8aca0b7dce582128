"""`kernelbal realserver verify`: what is verified, on a host in memory."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.kernel.interface import Kernel
from kernelbal.model.address import parse_address
from kernelbal.realserver import host as linux_host
from kernelbal.realserver.host import read_host
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.realserver.setup import Record
from kernelbal.realserver.store import RecordStore
from kernelbal.realserver.verify import gather as gathering
from kernelbal.realserver.verify.evidence import HostEvidence
from kernelbal.realserver.verify.gather import Outside
from tests.support.cli_harness import CommandResult
from tests.support.fake_kernel import FakeKernel
from tests.support.realserver_evidence import good
from tests.support.realserver_host import HTTP, IPIP, VIP, VIP6, fake_host, prepared


@dataclass
class DirectorCli:
    folder: Path
    capsys: pytest.CaptureFixture[str]
    broken: bool = False
    asked: list[tuple[tuple[Preparation, ...], Outside]] = field(default_factory=list)

    def run(self, *options: str) -> CommandResult:
        code = run(["realserver", "verify", "--state-dir", str(self.folder), *options])
        captured = self.capsys.readouterr()
        return CommandResult(code, captured.out, captured.err)

    def record(self, *preparations: Preparation) -> None:
        RecordStore(self.folder).save_record(Record(preparations=preparations))

    def gather(self, _: Kernel, preparations: tuple[Preparation, ...], outside: Outside) -> HostEvidence:
        self.asked.append((preparations, outside))
        (one,) = preparations
        facts = good(one)
        return good(one, host=read_host(fake_host())) if self.broken else facts


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> DirectorCli:
    @contextmanager
    def opened() -> Iterator[FakeKernel]:
        yield fake_host()

    made = DirectorCli(tmp_path, capsys)
    monkeypatch.setattr(linux_host, "LinuxHost", opened)
    monkeypatch.setattr(gathering, "gather", made.gather)
    monkeypatch.setenv("NO_COLOR", "1")
    return made


def test_what_was_prepared_is_verified(cli: DirectorCli) -> None:
    one = prepared(VIP, Method.LOOPBACK, None, HTTP)
    cli.record(one)
    done = cli.run("--client", "192.0.2.7", "--client", "2001:db8::7", "--director", "10.0.0.1")
    clients = (parse_address("192.0.2.7"), parse_address("2001:db8::7"))
    assert cli.asked == [((one,), Outside(clients, parse_address("10.0.0.1")))]
    assert done.code == ExitCode.OK
    assert done.out.startswith("10.0.0.80/32 dsr loopback, real server 10.0.0.11 by eth0\n  ok ")


def test_faults_are_told_by_the_exit_code(cli: DirectorCli) -> None:
    cli.record(prepared(VIP, Method.LOOPBACK, None, HTTP))
    cli.broken = True
    done = cli.run("--no-probe")
    assert done.code == ExitCode.FAILED
    assert "FAIL     vip" in done.out
    assert cli.asked[0][1].probe is False


def test_ports_can_be_named_later(cli: DirectorCli) -> None:
    cli.record(prepared(VIP))
    cli.run("--port", "80")
    assert cli.asked[0][0] == (prepared(VIP, Method.LOOPBACK, None, HTTP),)


def test_one_of_several(cli: DirectorCli) -> None:
    cli.record(prepared(VIP), prepared(VIP6))
    cli.run("fd00::80")
    assert cli.asked[0][0] == (prepared(VIP6),)


def test_what_others_prepared_is_described(cli: DirectorCli) -> None:
    done = cli.run("10.0.0.80", "--forwarding", "tunnel", "--port", "80")
    assert cli.asked[0][0] == (prepared(VIP, Method.LOOPBACK, IPIP, HTTP),)
    assert "10.0.0.80 was not prepared by kernelbal" in done.err


@pytest.mark.parametrize("named", [("10.0.0.80",), ()])
def test_options_that_say_what_was_prepared(cli: DirectorCli, named: tuple[str, ...]) -> None:
    cli.record(prepared(VIP, Method.ARP, IPIP, HTTP))
    done = cli.run(*named, "--forwarding", "tunnel", "--tunnel", "ipip", "--method", "arp")
    assert (done.code, cli.asked[0][0]) == (ExitCode.OK, (prepared(VIP, Method.ARP, IPIP, HTTP),))


@pytest.mark.parametrize("named", [("10.0.0.80",), ()])
def test_options_that_say_something_else_than_the_record(cli: DirectorCli, named: tuple[str, ...]) -> None:
    """As printed by the director, whose site file has a tunnel where the real server is prepared for dsr."""
    cli.record(prepared(VIP, Method.LOOPBACK, None, HTTP))
    done = cli.run(*named, "--forwarding", "tunnel", "--tunnel", "gre", "--method", "redirect")
    assert (done.code, cli.asked) == (ExitCode.FAILED, [])
    assert (
        "10.0.0.80 was prepared otherwise than the options say: "
        "forwarding dsr, not tunnel gre; method loopback, not redirect\n"
    ) in done.err
    assert (
        "hint: leave them out to verify it as it is, or prepare it anew: kernelbal realserver apply "
        "10.0.0.80 --forwarding tunnel --tunnel gre --method redirect --interface eth0 --real 10.0.0.11 "
        "--port 80/tcp"
    ) in done.err


def test_nothing_to_verify_is_an_error(cli: DirectorCli) -> None:
    done = cli.run()
    assert done.code == ExitCode.FAILED
    assert "kernelbal has prepared nothing on this host" in done.err
    assert "hint: name the address" in done.err


@pytest.mark.parametrize(
    "options", [("--client", "nobody"), ("--director", "x"), ("--port", "0"), ("10.0.0",)]
)
def test_what_was_mistyped_is_named(cli: DirectorCli, options: tuple[str, ...]) -> None:
    cli.record(prepared(VIP))
    done = cli.run(*options)
    assert done.code == ExitCode.USAGE
    assert options[-1] in done.err
