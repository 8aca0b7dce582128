"""Which documents are in force."""

from pathlib import Path

import pytest

from kernelbal.errors import ConfigError, FileUnreadable
from kernelbal.runtime.director.configuration import (
    NOTHING_REFUSED,
    PROBLEMS_NAMED,
    InForce,
    Origin,
    Refused,
    answer_of,
    config_status,
    problems_text,
    start,
)
from kernelbal.runtime.director.documents import Paths
from kernelbal.store.daemon import DaemonState, GoodDocuments
from tests.support.director_harness import BOOT, NODE, SITE


@pytest.fixture
def paths(folder: Path) -> Paths:
    return Paths(folder / "site.yaml", folder / "node.yaml")


@pytest.fixture
def state(folder: Path) -> DaemonState:
    return DaemonState(folder / "state", lambda: BOOT)


GOOD = GoodDocuments(SITE.encode(), NODE.encode())


def test_it_starts_with_the_files(paths: Paths, state: DaemonState) -> None:
    state.save_good(GOOD._replace(site=b"virtual_services: []\n"))
    began = start(paths, state, 0.0)
    assert (began.origin, began.refusal) == (Origin.FILES, NOTHING_REFUSED)
    assert began.documents.text == GOOD


def test_with_broken_files_it_starts_with_the_copy_and_says_why(paths: Paths, state: DaemonState) -> None:
    state.save_good(GOOD)
    paths.site.write_text("virtual_services: 7\n")
    began = start(paths, state, 0.0)
    assert began.origin is Origin.COPY
    assert began.documents.text == GOOD
    assert "site.yaml:1:" in began.refusal.problems[0]
    status = config_status(
        InForce(began.documents, began.origin, 5.0), began.refusal, None, paths, "then", 8.0
    )
    assert status.refused.startswith("the last good copy is in force")
    assert status.loaded_s == 3.0


def test_a_missing_file_counts_as_broken(paths: Paths, state: DaemonState) -> None:
    state.save_good(GOOD)
    paths.node.unlink()
    assert "cannot read" in start(paths, state, 0.0).refusal.why


def test_without_a_copy_or_with_a_broken_one_the_files_are_to_blame(paths: Paths, state: DaemonState) -> None:
    paths.site.unlink()
    with pytest.raises(FileUnreadable):
        start(paths, state, 0.0)
    paths.site.write_text("virtual_services: 7\n")
    state.save_good(GOOD._replace(site=b"other: 1\n"))
    with pytest.raises(ConfigError) as refusal:
        start(paths, state, 0.0)
    assert refusal.value.problems[0].key == "virtual_services"


def test_an_event_names_some_problems_and_counts_the_rest() -> None:
    refusal = Refused(None, "8 problems", tuple(f"p{n}" for n in range(8)))
    assert problems_text(refusal) == "; ".join(f"p{n}" for n in range(PROBLEMS_NAMED)) + "; and 3 more"
    answer = answer_of(refusal, changed=True)
    assert (answer.loaded, answer.changed, len(answer.problems)) == (False, False, 8)
