"""`kernelbal reload`: the daemon reads its documents again."""

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.status import ReloadAnswer
from tests.support.cli_harness import DaemonCli


def test_reload_says_whether_anything_changed(daemon: DaemonCli) -> None:
    assert daemon.run("reload") == (ExitCode.OK, "reloaded\n", "")
    daemon.control.answer = ReloadAnswer(loaded=True, changed=False, problems=[])
    assert daemon.run("reload").out == "reloaded: nothing has changed\n"
    assert daemon.control.reloads == ["root", "root"]


def test_refused_documents_are_a_configuration_error(daemon: DaemonCli) -> None:
    daemon.control.answer = ReloadAnswer(loaded=False, changed=False, problems=["site.yaml:3:5: no such key"])
    done = daemon.run("reload")
    assert (done.code, done.out) == (ExitCode.CONFIG, "")
    assert done.err == "site.yaml:3:5: no such key\nrefused: the old documents stay in force\n"
    assert daemon.run("reload", "--json").document["loaded"] is False
