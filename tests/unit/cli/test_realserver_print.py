"""`--print` and `--os` need no change of a host, and `--os` not even a look at it."""

import pytest

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.realserver.printing import Format, System
from tests.unit.cli.realserver_desk import RealServerDesk


@pytest.mark.parametrize("name", list(Format))
def test_formats(realserver_desk: RealServerDesk, name: Format) -> None:
    said = realserver_desk.say("plan", "10.0.0.80", "--print", name.value)
    assert said.code == ExitCode.OK, said.err
    assert said.out.strip()
    assert realserver_desk.host.performed == []


def test_sysctl_lines(realserver_desk: RealServerDesk) -> None:
    said = realserver_desk.say("plan", "10.0.0.80", "--print", "sysctl")
    assert "net.ipv4.conf.all.arp_ignore = 1\nnet.ipv4.conf.eth0.arp_ignore = 1\n" in said.out


@pytest.mark.parametrize("name", list(System))
def test_instructions(realserver_desk: RealServerDesk, name: System) -> None:
    said = realserver_desk.say(
        "plan", "10.9.9.80", "--os", name.value, "--real", "10.9.9.11", "--interface", "vmx0"
    )
    assert said.code == ExitCode.OK, said.err
    assert "10.9.9.80" in said.out
    assert "10.9.9.11" in said.out
    assert "vmx0" in said.out


@pytest.mark.parametrize(
    ("options", "words"), [(("--real", "10.9.9.11"), "name the virtual address"), (("10.9.9.80",), "--real")]
)
def test_what_instructions_need(
    realserver_desk: RealServerDesk, options: tuple[str, ...], words: str
) -> None:
    said = realserver_desk.say("plan", *options, "--os", "freebsd")
    assert said.code == ExitCode.USAGE
    assert words in " ".join(said.err.split())
