"""Two classes never share a name, and texts keep to the words of the glossary."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
PLACES = ("docs", "examples", "systemd", "templates")
SOURCES = sorted((ROOT / "kernelbal").rglob("*.py"))
GLOSSARY = ROOT / "docs/reference/glossary.md"
RECORDS = ROOT / "docs/adr"  # of past decisions: never edited
TEXTS = [
    path
    for path in (
        *SOURCES,
        *sorted(ROOT.glob("*.md")),
        *(p for d in PLACES for p in sorted((ROOT / d).rglob("*.*"))),
    )
    if path != GLOSSARY and RECORDS not in path.parents and path.suffix != ".pyc"
]
AVOIDED = re.compile(r"^\| (?P<words>`[^|]+`) \| [^|]+ \|$", re.MULTILINE)


def shared_names(trees: Iterable[tuple[str, ast.Module]]) -> dict[str, list[str]]:
    """Names of public classes that more than one module defines, with these modules."""
    found = defaultdict(list)
    for path, tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(path)
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def avoided_phrases(glossary: str) -> list[str]:
    """The phrases of the glossary's last table, which texts say otherwise."""
    _, _, section = glossary.partition("## Said otherwise")
    return [
        phrase for match in AVOIDED.finditer(section) for phrase in re.findall(r"`([^`]+)`", match["words"])
    ]


def uses(phrases: Iterable[str], text: str) -> list[str]:
    """Phrases that occur in a text, however its lines are broken."""
    flat = re.sub(r"\s+", " ", text)
    return [phrase for phrase in phrases if re.search(rf"\b{re.escape(phrase)}\b", flat)]


def test_no_two_classes_share_a_name() -> None:
    assert SOURCES
    shared = shared_names(
        (path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())) for path in SOURCES
    )
    assert shared == {}


def test_shared_name_is_found() -> None:
    one, other = (
        ast.parse("class Report: ...\nclass _Own: ..."),
        ast.parse("class Report: ...\nclass _Own: ..."),
    )
    assert shared_names([("a", one), ("b", other)]) == {"Report": ["a", "b"]}


def test_texts_keep_to_the_glossary() -> None:
    phrases = avoided_phrases(GLOSSARY.read_text())
    assert phrases
    assert len(TEXTS) > len(SOURCES) > 0
    found = {path.relative_to(ROOT).as_posix(): uses(phrases, path.read_text()) for path in TEXTS}
    assert {path: used for path, used in found.items() if used} == {}


def test_avoided_phrase_is_found() -> None:
    glossary = "## Said otherwise\n\n| not | but |\n|---|---|\n| `as wanted`, `put right` | converged |\n"
    assert avoided_phrases(glossary) == ["as wanted", "put right"]
    assert uses(avoided_phrases(glossary), "all is as\n    wanted, nothing was put righter") == ["as wanted"]
