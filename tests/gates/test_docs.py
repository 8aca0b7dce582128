"""Links and commands in the documentation lead somewhere."""

import re
from pathlib import Path

import pytest

from tests.gates.links import broken_links, make_targets

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_sweep_is_not_empty() -> None:
    assert ROOT / "README.md" in PAGES
    assert ROOT / "docs/README.md" in PAGES
    assert {"demo", "test"} <= make_targets((ROOT / "README.md").read_text()) & TARGETS


def test_links_resolve() -> None:
    assert [line for page in PAGES for line in broken_links(page)] == []


def test_every_page_can_be_reached_from_the_index() -> None:
    index = (ROOT / "docs/README.md").read_text()
    pages = {
        page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.is_relative_to(ROOT / "docs")
    }
    assert sorted(page for page in pages - {"README.md"} if f"]({page})" not in index) == []


def test_shown_make_targets_exist() -> None:
    shown = {target for page in PAGES for target in make_targets(page.read_text())}
    assert shown - TARGETS == set()


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("[a](other.md)", 1),
        ("[a](page.md#no-such)", 1),
        ("![a](picture.png)", 1),
        (
            "# A heading, `code`!\n[a](#a-heading-code) [b](page.md#a-heading-code) [c](https://example.net/x)",
            0,
        ),
        ("```\n[a](other.md)\n```\n", 0),
    ],
)
def test_broken_link_is_found(tmp_path: Path, text: str, count: int) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    assert len(list(broken_links(page))) == count


def test_make_commands_are_found() -> None:
    text = (
        "Type `make demo`, or\n\n    X=/y make test   # all\n\n```\n$ make lint\nmake bench\n```\nmake none\n"
    )
    assert make_targets(text) == {"demo", "test", "lint", "bench"}
