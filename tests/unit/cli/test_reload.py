"""`kernelbal reload`: the daemon reads its documents again."""

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.model.status import ReloadAnswer
from tests.unit.cli.daemon import Daemon


def test_reload_says_whether_anything_changed(daemon: Daemon) -> None:
    assert daemon.say("reload") == (ExitCode.OK, "reloaded\n", "")
    daemon.control.answer = ReloadAnswer(loaded=True, changed=False, problems=[])
    assert daemon.say("reload").out == "reloaded: nothing has changed\n"
    assert daemon.control.reloads == ["root", "root"]


def test_refused_documents_are_a_configuration_error(daemon: Daemon) -> None:
    daemon.control.answer = ReloadAnswer(loaded=False, changed=False, problems=["site.yaml:3:5: no such key"])
    said = daemon.say("reload")
    assert (said.code, said.out) == (ExitCode.CONFIG, "")
    assert said.err == "site.yaml:3:5: no such key\nrefused: the old documents stay in force\n"
    assert daemon.say("reload", "--json").document["loaded"] is False
