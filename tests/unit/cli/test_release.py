"""`kernelbal release`: take everything of ours out of the kernel again."""

import errno

import pytest

from kernelbal.cli import plan_view
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.plan.kinds.service_actions import RemoveService
from kernelbal.plan.kinds.services import SERVICES
from tests.support.builders import held, place, service, virtual
from tests.support.cli_harness import SITE, SYSCTLS, WEB, DirectorCli

OTHER = service("192.0.2.9", 443)
OWN_ADDRESS = place("eth0", "192.0.2.1", 24)
PLAN = """\
- address 192.0.2.10/32 dev eth0  [clients can no longer reach this address]
- service 192.0.2.10:80/tcp and its real servers
~ sysctl net.ipv4.ip_forward 1 -> 0  # No longer needed; this was its value before.
0 to add, 1 to change, 2 to remove
"""


@pytest.fixture
def applied(cli: DirectorCli) -> DirectorCli:
    """A site beside a service and an address of somebody else."""
    cli.kernel.services[OTHER] = virtual()
    cli.kernel.addresses[OWN_ADDRESS] = held(OWN_ADDRESS)
    cli.apply(SITE)
    return cli


def test_what_is_ours_goes_and_nothing_else(applied: DirectorCli) -> None:
    done = applied.run("release", "--cut")
    assert (done.code, done.out) == (
        ExitCode.OK,
        PLAN + "released: nothing of kernelbal's is left in this kernel\n",
    )
    assert applied.kernel.services == {OTHER: virtual()}
    assert set(applied.kernel.addresses) == {OWN_ADDRESS}
    assert applied.kernel.sysctls == SYSCTLS
    assert not (applied.state_dir / "owned.json").exists()


def test_dry_run_changes_nothing(applied: DirectorCli) -> None:
    files = {path.name: path.read_bytes() for path in applied.state_dir.iterdir()}
    done = applied.run("release", "--dry-run", "--cut")
    assert (done.code, done.out) == (ExitCode.OK, PLAN)
    assert applied.kernel.performed == []
    assert {path.name: path.read_bytes() for path in applied.state_dir.iterdir()} == files


def test_dry_run_keeps_what_awaits_confirmation(watched: DirectorCli) -> None:
    watched.run("apply", "--confirm", "90s")
    watched.run("release", "--dry-run")
    assert watched.store.load_snapshot() is not None
    watched.run("release")
    assert watched.store.load_snapshot() is None, "nothing is left to come back to"


def test_second_release_finds_nothing(applied: DirectorCli) -> None:
    applied.run("release")
    done = applied.run("release")
    assert (done.code, done.out) == (
        ExitCode.OK,
        "no changes: nothing in this kernel is kernelbal's\n"
        "released: nothing of kernelbal's is left in this kernel\n",
    )


def test_release_is_never_rolled_back(watched: DirectorCli) -> None:
    """Not even one that is through with half of it when the time to confirm is over."""
    watched.run("apply", "--confirm", "90s")
    watched.refuse(RemoveService)
    assert watched.run("release", "--cut").code == ExitCode.FAILED
    assert watched.store.load_snapshot() is None


def test_connections_are_drained(applied: DirectorCli) -> None:
    applied.kernel.load(WEB, active=1)
    done = applied.run("release")
    assert (done.code, applied.now) == (ExitCode.OK, 1020)
    assert "note: the rest is removed when the draining connections have ended\n" in done.err
    assert "draining 10.0.0.12:80 of 192.0.2.10:80/tcp: 1 connection" in done.err
    assert applied.kernel.services == {OTHER: virtual()}


def test_cut_does_not_wait(applied: DirectorCli) -> None:
    applied.kernel.load(WEB, active=1)
    done = applied.run("release", "--cut")
    assert (done.code, applied.now) == (ExitCode.OK, 1000)
    assert "- service 192.0.2.10:80/tcp and its real servers  [2 active connections would be cut]" in done.out


def test_what_cannot_be_removed_stays_on_record(applied: DirectorCli) -> None:
    applied.refuse(RemoveService, errno.EBUSY)
    done = applied.run("release")
    assert done.code == ExitCode.FAILED
    assert "released" not in done.out
    assert done.err.splitlines()[-3:] == [
        "FAIL service 192.0.2.10:80/tcp and its real servers: device or resource busy",
        "not converged: this is still in the kernel, 1 change left",
        "  hint: remove the cause and run `kernelbal release` again; what was done stays",
    ]
    assert applied.store.load().of(SERVICES).keys == frozenset({WEB})


def test_long_list_is_cut_short(applied: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_view, "SHOWN_ACTIONS", 1)
    assert applied.run("release", "--cut", "--dry-run").out == PLAN
    done = applied.run("release", "--cut")
    assert "  ... and 2 more (`kernelbal release --dry-run` shows them)\n" in done.out


def test_no_document_is_needed(applied: DirectorCli) -> None:
    applied.site.unlink()
    applied.node.unlink()
    assert applied.run("release").code == ExitCode.OK


def test_lost_record_is_told_before_it_is_called_released(applied: DirectorCli) -> None:
    """Addresses bear our mark, but services and former sysctl values are in the record alone."""
    (applied.state_dir / "owned.json").unlink()
    applied.kernel.addresses[OWN_ADDRESS] = held(OWN_ADDRESS, ours=True)
    done = applied.run("release")
    assert "the ownership record is lost" in done.err
    assert "first `kernelbal apply`" in done.err
    assert WEB in applied.kernel.services


def test_record_that_is_there_is_not_called_lost(applied: DirectorCli) -> None:
    assert "lost" not in applied.run("release").err


def test_what_still_drains_is_not_called_nothing(applied: DirectorCli) -> None:
    applied.kernel.load(WEB, 2)
    applied.write("virtual_services: []\n")
    applied.run("apply", "--no-wait")
    done = applied.run("release")
    assert "nothing in this kernel" not in done.out
    assert "no changes yet: real servers are draining; " in done.out
