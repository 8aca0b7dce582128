"""Relative links of Markdown files and the make targets that they name."""

import re
from collections.abc import Iterator
from pathlib import Path

LINK = re.compile(r"(?<!!)\[[^\]]*\]\((?P<target>[^)\s]+)\)|!\[[^\]]*\]\((?P<image>[^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+\s+(.*?)\s*#*$", re.MULTILINE)
COMMAND = r"(?:\$ )?(?:\w+=\S+ )*make ([a-z][a-z-]*)"
SHOWN_COMMAND = re.compile(rf"^ {{4,}}{COMMAND}|`{COMMAND}", re.MULTILINE)
FENCED_COMMAND = re.compile(rf"^ *{COMMAND}", re.MULTILINE)
ABSOLUTE = re.compile(r"[a-z]+:")


def anchors(text: str) -> set[str]:
    """The anchors that a forge gives to the headings of a Markdown text."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(file: Path) -> Iterator[str]:
    """Relative links of `file` that lead to no file or to no heading."""
    for match in LINK.finditer(FENCE.sub("", file.read_text(encoding="utf-8"))):
        link = match["target"] or match["image"]
        if ABSOLUTE.match(link):
            continue
        name, _, anchor = link.partition("#")
        target = (file.parent / name).resolve() if name else file
        if not target.exists():
            yield f"{file}: {link} does not exist"
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            yield f"{file}: {link} has no such heading"


def make_targets(text: str) -> set[str]:
    """Targets of the `make` commands that a Markdown text shows: in code spans and in code blocks."""
    shown = {target for match in SHOWN_COMMAND.finditer(FENCE.sub("", text)) for target in match.groups()}
    fenced = {target for block in FENCE.findall(text) for target in FENCED_COMMAND.findall(block)}
    return {target for target in shown | fenced if target}
