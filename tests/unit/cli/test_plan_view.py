"""Plans and outcomes as text and as plain data."""

import pytest

from kernelbal.cli import plan_view
from kernelbal.cli.plan_view import drain_text, print_failures, print_plan, print_unfinished, summary
from kernelbal.model.answers import ApplyDocument, PlanDocument
from kernelbal.model.ipvs import DrainKey, ServiceAttributes
from kernelbal.plan.action import Outcome, Result
from kernelbal.plan.document import apply_document, plan_document, planned_action, planned_drain
from kernelbal.plan.kind import Note, ObservedState, PendingDrain
from kernelbal.plan.kinds.service_actions import AddDestination, AddService, RemoveService
from kernelbal.plan.planning import Plan
from tests.support.builders import place, real, service, weighing
from tests.support.states import plan_of

WEB, WEB6 = service("192.0.2.10", 80), service("2001:db8::10", 80)
A, A6 = real("10.0.0.11"), real("2001:db8::11")
NAMES = {WEB: "web"}
ADD = AddService(WEB, ServiceAttributes("wlc", 0, 0, 32, ""))
ADD_A = AddDestination(WEB, A, weighing(1))
REFUSED = Outcome(ADD, Result.FAILED, 2, "the scheduler is not there", "modprobe ip_vs_wlc")
ORPHAN = Outcome(ADD_A, Result.SKIPPED, 3, "its service could not be added")


def planned(plan: Plan) -> PlanDocument:
    return plan_document(plan, {}, ObservedState())


def ended(*outcomes: Outcome, remaining: Plan | None = None) -> ApplyDocument:
    return apply_document(outcomes, remaining or Plan(), NAMES, converged=False)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.mark.parametrize(
    ("pending", "text"),
    [
        (PendingDrain(DrainKey(WEB, A), 1, 40.4), "10.0.0.11:80 of `web`: 1 connection, 40 s left"),
        (
            PendingDrain(DrainKey(WEB6, A6), 12, 0.4),
            "[2001:db8::11]:80 of [2001:db8::10]:80/tcp: 12 connections, 0 s left",
        ),
    ],
)
def test_drain_says_what_it_waits_for(pending: PendingDrain, text: str) -> None:
    assert drain_text(planned_drain(pending, NAMES)) == text


def test_summary_counts_each_sign() -> None:
    plan = plan_of(ADD, ADD_A, RemoveService(WEB6))
    assert summary(planned(plan)) == "2 to add, 0 to change, 1 to remove"


def test_summary_of_nothing_may_be_worded_and_names_drains() -> None:
    pending = (PendingDrain(DrainKey(WEB, A), 1, 40.0),)
    assert summary(planned(Plan())) == "no changes: kernel matches site.yaml"
    assert summary(planned(Plan(pending=pending)), "nothing") == "nothing; 1 draining"


def test_more_than_one_adopted_service(capsys: pytest.CaptureFixture[str]) -> None:
    print_plan(planned(Plan(notes={Note.ADOPTED: {"services": (WEB, WEB6)}})))
    assert "note: 2 IPVS services were there already and become kernelbal's: " in capsys.readouterr().err


def test_signs_have_colours_in_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_plan(planned(plan_of(RemoveService(WEB))))
    assert "\x1b[31m-\x1b[0m service 192.0.2.10:80/tcp" in capsys.readouterr().out


def test_log_of_failures_has_no_colours(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `kernelbal apply 2>log` in a terminal."""
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_failures(apply_document((REFUSED,), Plan(), {}, converged=False))
    assert capsys.readouterr().err.startswith("FAIL service")


# --- what failed ---


def test_failure_and_what_follows_from_it_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    print_failures(ended(REFUSED, ORPHAN))
    assert capsys.readouterr() == (
        "",
        "FAIL service `web` 192.0.2.10:80/tcp wlc: the scheduler is not there\n"
        "  hint: modprobe ip_vs_wlc\n"
        "skipped real server 10.0.0.11:80 of `web` 192.0.2.10:80/tcp nat weight 1:"
        " its service could not be added\n",
    )


def test_same_hint_is_given_once(capsys: pytest.CaptureFixture[str]) -> None:
    other = REFUSED._replace(action=ADD._replace(key=WEB6))
    print_failures(ended(REFUSED, other, other._replace(hint="reboot")))
    err = capsys.readouterr().err
    assert (err.count("modprobe ip_vs_wlc"), err.count("hint: reboot")) == (1, 1)


def test_many_failures_are_cut_short(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_view, "SHOWN_ACTIONS", 2)
    print_failures(ended(*[ORPHAN] * 5))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert lines[-1] == "  ... and 3 more"


def test_unfinished_round_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    print_unfinished(ended(REFUSED, remaining=plan_of(ADD, ADD_A)), [], "it differs", "apply")
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "not converged: it differs, 2 changes left",
        "  hint: remove the cause and run `kernelbal apply` again; what was done stays",
    ]


def test_what_somebody_else_undoes_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing failed, so what is left is the only trace."""
    done = Outcome(ADD, Result.DONE)
    left = [planned_action(ADD, NAMES, ObservedState())]
    print_unfinished(ended(done, remaining=plan_of(ADD)), left, "it differs", "apply")
    assert capsys.readouterr().err.splitlines()[:2] == [
        "not converged: it differs, 1 change left",
        "+ service `web` 192.0.2.10:80/tcp wlc",
    ]


def test_warning_before_the_way_in_is_gone(capsys: pytest.CaptureFixture[str]) -> None:
    own = place("eth0", "192.0.2.1", 24)
    print_plan(planned(Plan(notes={note: {"addresses": (own,)} for note in (Note.BORROWED, Note.CAPTURED)})))
    done = capsys.readouterr().err
    assert "warning: edge.one_to_one takes everything that comes to 192.0.2.1/24 dev eth0, ssh" in done
    assert "hint: if that is the director's own address, take another `outside`" in done
