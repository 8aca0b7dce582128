"""Explanations as text and as plain data."""

from dataclasses import replace

import pytest
from msgspec import structs

from kernelbal.cli.explain_view import SHOWN_CANDIDATES, print_explanation
from kernelbal.plan.explain.document import explanation_document
from kernelbal.plan.explain.engine import explain
from kernelbal.plan.explain.query import FactSource, KernelView
from kernelbal.plan.explain.result import ExplainOutcome, Explanation
from tests.support.fake_control import failing_status
from tests.unit.plan.explain.scene import address, query, service, view


def explained(seen: KernelView | None = None) -> Explanation:
    return explain(query(), seen or view(service("wlc", 1, 1, 0)))


def shown(explanation: Explanation, capsys: pytest.CaptureFixture[str]) -> str:
    print_explanation(explanation_document(explanation))
    return capsys.readouterr().out


def test_steps_are_numbered(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(explained(), capsys)
    places = [
        text.index(f"\n{number}. {topic}")
        for number, topic in enumerate(
            ["address", "classifier", "service", "persistence", "scheduler", "forwarding", "return"], 1
        )
    ]
    assert places == sorted(places)


def test_what_the_kernel_refuses_stands_before_the_answer(capsys: pytest.CaptureFixture[str]) -> None:
    document = structs.replace(explanation_document(explained()), failing_objects=[failing_status()])
    print_explanation(document)
    *_, refused, answer = capsys.readouterr().out.split("\n\n")
    assert refused.startswith("1 object refused by the kernel:\n  + service `web` 192.0.2.10:80/tcp wlc\n")
    assert answer.startswith("=> ")


def test_chosen_real_server_comes_first_and_those_out_last(capsys: pytest.CaptureFixture[str]) -> None:
    server = service("fo", 1, 0, 9)
    rows = shown(explained(view(server)), capsys).split("real servers of")[1].splitlines()[2:5]
    assert [row.split("10.0.0.")[1][:2] for row in rows] == ["13", "11", "12"]
    assert [row[:2] for row in rows] == ["=>", "  ", "  "]


def test_conditions_of_the_way_back_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert "\n   - needs: the real server's route to 198.51.100.7 leads" in shown(explained(), capsys)


def test_problem_is_in_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    local = explain(query(80, address("10.0.0.99")), view(service("wlc", 1)))
    table = shown(local, capsys).split("real servers of")[1]
    assert "the client is on the segment of 10.0.0.11" in table


def test_source_is_named_where_it_differs(capsys: pytest.CaptureFixture[str]) -> None:
    wanted = view().addresses[:1]
    text = shown(explained(view(service("wlc", 1), addresses=(), desired_addresses=wanted)), capsys)
    assert "1. address: elsewhere (from the site file)" in text
    assert "(from the kernel)" not in text


def test_empty_columns_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    live = shown(explained(), capsys)
    assert "active  inactive" in live
    assert " name " not in live
    from_file = shown(explained(view(service("fo", 1), source=FactSource.SITE_FILE)), capsys)
    assert "inactive" not in from_file


def test_long_list_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(explained(view(service("rr", *[1] * (SHOWN_CANDIDATES + 2)))), capsys)
    assert "... and 2 more (--json lists them)" in text


def test_answer_ends_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    for outcome in ExplainOutcome:
        text = shown(replace(explained(), outcome=outcome, answer="as it is"), capsys)
        assert text.endswith(f"=> {outcome.value}: as it is\n")
