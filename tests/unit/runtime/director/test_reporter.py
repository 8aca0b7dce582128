"""Where events go."""

import io

from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.node import Hook
from kernelbal.runtime.director.hooks import Hooks
from kernelbal.runtime.director.journal import Journal
from kernelbal.runtime.director.logline import Log
from kernelbal.runtime.director.reporter import Reporter


def test_an_event_reaches_journal_log_and_hooks_and_a_note_only_the_log() -> None:
    stream = io.StringIO()
    reporter = Reporter(Journal(lambda: "now"), Log(stream, priorities=False))
    hooks = Hooks(reporter.emit, lambda: 0.0)
    hooks.replace([Hook.model_validate({"script": ["/bin/true"]})])
    reporter.use_hooks(hooks)
    reporter.emit_all([Event(Topic.SERVER_UP, Severity.NOTICE, "one", "web")])
    reporter.report(Topic.CONFIG_LOADED, "two", by="root", problems=0)
    reporter.log("round.changed changes=1")
    assert [e.message for e in reporter.journal.recent(0, 9)] == ["one", "two"]
    assert [e.seq for e in hooks._lines[0].queue] == [1, 2]
    assert stream.getvalue().splitlines() == [
        "now real_server.up service=web message=one",
        "now config.loaded by=root problems=0 message=two",
        "now round.changed changes=1",
    ]
