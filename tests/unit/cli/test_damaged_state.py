"""Commands without a daemon and a damaged state directory: an error with its remedy, and nothing changed."""

import json

import pytest

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.plan.kind import DesiredState
from tests.support.builders import service, virtual
from tests.support.cli_harness import SITE, DirectorCli
from tests.support.damage import DAMAGES, fill_disk

COMMANDS = ("plan", "apply", "status", "release", "confirm", "rollback")
OTHER = service("192.0.2.9", 443)
READ_BY = {
    "owned.json": {"plan", "apply", "status", "release", "rollback"},
    "snapshot.json": {"apply", "confirm", "rollback"},
}


@pytest.fixture
def applied(cli: DirectorCli) -> DirectorCli:
    """A site beside a service of somebody else, on trial."""
    cli.kernel.services[OTHER] = virtual()
    cli.apply(SITE)
    cli.store.save_snapshot(DesiredState(), cli.now + 1000.0)
    return cli


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("damage", [*DAMAGES, "newer layout"])
@pytest.mark.parametrize("name", READ_BY)
def test_a_damaged_record_is_an_error_with_its_remedy(
    applied: DirectorCli, name: str, damage: str, command: str
) -> None:
    path = applied.state_dir / name
    if damage in DAMAGES:
        DAMAGES[damage](path)
    else:
        path.write_text(json.dumps({"schema": 99, "record": {}}))
    if name == "owned.json" and command not in ("confirm", "rollback"):
        (applied.state_dir / "snapshot.json").unlink()
    done = applied.run(command)
    if command in READ_BY[name]:
        assert done.code == ExitCode.STATE
        assert name in done.err
        assert "  hint: " in done.err
        assert applied.kernel.performed == []
    else:
        assert done.code != ExitCode.SOFTWARE


def test_the_remedy_adopts_what_is_as_desired_and_leaves_the_rest(applied: DirectorCli) -> None:
    (applied.state_dir / "snapshot.json").unlink()
    owned = applied.state_dir / "owned.json"
    owned.write_bytes(b"")
    owned.rename(applied.state_dir / "owned.json.bad")
    before = dict(applied.kernel.services)
    assert applied.run("apply").code == ExitCode.OK
    assert applied.kernel.services == before
    released = applied.run("release", "--cut")
    assert released.code == ExitCode.OK
    assert "the ownership record is lost" in released.err
    assert applied.kernel.services == {OTHER: virtual()}


@pytest.mark.parametrize("command", ["apply", "confirm", "release"])
def test_with_a_full_disk_nothing_is_half_done(
    cli: DirectorCli, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.apply(SITE)
    if command == "confirm":
        cli.store.save_snapshot(DesiredState(), cli.now + 1000.0)
    else:
        cli.write(SITE.replace("192.0.2.10", "192.0.2.11"))
    fill_disk(monkeypatch)
    done = cli.run(command)
    assert done.code == ExitCode.STATE
    assert "No space left on device" in done.err
    assert cli.kernel.performed == []
