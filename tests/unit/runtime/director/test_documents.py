"""The documents as the daemon holds them."""

import hashlib
from pathlib import Path

import pytest

from kernelbal.errors import FileUnreadable, PlanRefused, Problem, Span
from kernelbal.plan.kind import ObservedState
from kernelbal.runtime.director.documents import (
    Paths,
    keys_of,
    new_faults,
    parse,
    problem_line,
    problem_lines,
    read_texts,
    refusal_of,
    size_of,
)
from kernelbal.store.daemon import GoodDocuments
from tests.support.director_harness import NODE, SITE, WEB, new_kernel
from tests.support.states import observed_of

PATHS = Paths(Path("site.yaml"), Path("node.yaml"))
TEXT = GoodDocuments(SITE.encode(), NODE.encode())


def test_documents_are_read_as_they_are(folder: Path) -> None:
    assert read_texts(Paths(folder / "site.yaml", folder / "node.yaml")) == TEXT
    with pytest.raises(FileUnreadable) as refusal:
        read_texts(Paths(folder / "none.yaml", folder / "node.yaml"))
    assert "none.yaml" in (refusal.value.hint or "")


def test_they_are_parsed_and_their_probes_planned() -> None:
    documents = parse(TEXT, PATHS)
    assert documents.digest == hashlib.sha256(TEXT.site).hexdigest()
    assert len(documents.probes.probes) == 2


def test_documents_that_do_not_fit_together_are_refused() -> None:
    with pytest.raises(PlanRefused, match="outside"):
        parse(TEXT._replace(node=b"name: lb1\n"), PATHS)


def observed() -> ObservedState:
    kernel = new_kernel()
    return observed_of(links=tuple(kernel.links.values()), routes=kernel.routes)


def test_a_fault_that_holds_already_does_not_keep_a_change_out() -> None:
    faulty = TEXT._replace(site=TEXT.site.replace(b"one_armed: true", b"network: inside"))
    old = parse(faulty, PATHS)
    good = parse(TEXT, PATHS)
    (fault,) = new_faults(old, good, observed())
    assert new_faults(good, good, observed()) == ()
    changed = parse(faulty._replace(site=faulty.site.replace(b": rr", b": wlc")), PATHS)
    assert new_faults(changed, old, observed()) == ()
    error = refusal_of([fault])
    assert "virtual service `web`" in error.message
    assert problem_lines(error) == [f"{error.message} (hint: {error.hint})"]


def test_a_problem_is_one_line_with_place_and_remedy() -> None:
    problem = Problem("a[0].b", "wrong", "a number", "write 1", Span("site.yaml", 3, 5))
    assert problem_line(problem) == "site.yaml:3:5: a[0].b: wrong; expected a number (hint: write 1)"
    assert problem_line(Problem("", "empty")) == "empty"


def test_ipvs_services_are_known_by_name_and_names_by_service() -> None:
    keys = keys_of(parse(TEXT, PATHS))
    assert len(keys.all) == 1
    assert list(keys.names.values()) == ["web"]
    assert keys.by_name == {"web": keys.all}
    assert keys.all[0] == WEB or keys.all[0].mark


def test_a_site_is_counted() -> None:
    assert size_of(parse(TEXT, PATHS)) == "virtual services 1, real servers 2, probes 2"
