"""`--print` and `--os` need no change of a host, and `--os` not even a look at it."""

import pytest

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.realserver.printing import Format, System
from tests.support.cli_harness import RealServerCli


@pytest.mark.parametrize("name", list(Format))
def test_formats(realserver_cli: RealServerCli, name: Format) -> None:
    done = realserver_cli.run("plan", "10.0.0.80", "--print", name.value)
    assert done.code == ExitCode.OK, done.err
    assert done.out.strip()
    assert realserver_cli.host.performed == []


def test_sysctl_lines(realserver_cli: RealServerCli) -> None:
    done = realserver_cli.run("plan", "10.0.0.80", "--print", "sysctl")
    assert "net.ipv4.conf.all.arp_ignore = 1\nnet.ipv4.conf.eth0.arp_ignore = 1\n" in done.out


@pytest.mark.parametrize("name", list(System))
def test_instructions(realserver_cli: RealServerCli, name: System) -> None:
    done = realserver_cli.run(
        "plan", "10.9.9.80", "--os", name.value, "--real", "10.9.9.11", "--interface", "vmx0"
    )
    assert done.code == ExitCode.OK, done.err
    assert "10.9.9.80" in done.out
    assert "10.9.9.11" in done.out
    assert "vmx0" in done.out


@pytest.mark.parametrize(
    ("options", "words"), [(("--real", "10.9.9.11"), "name the virtual address"), (("10.9.9.80",), "--real")]
)
def test_what_instructions_need(realserver_cli: RealServerCli, options: tuple[str, ...], words: str) -> None:
    done = realserver_cli.run("plan", *options, "--os", "freebsd")
    assert done.code == ExitCode.USAGE
    assert words in " ".join(done.err.split())
