"""Exception lists whose entries carry their reasons: lines of `pattern: reason`; `#` starts a comment."""

from pathlib import Path


def parse_reasons(text: str) -> dict[str, str]:
    """Reads an exception list.

    Raises:
        ValueError: when an entry has no reason or stands there twice.
    """
    entries: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        pattern, separator, reason = (part.strip() for part in line.rpartition(": "))
        if not separator or not pattern or not reason:
            raise ValueError(f"exception without a reason: {line!r}; write `pattern: reason`")
        if pattern in entries:
            raise ValueError(f"exception given twice: {pattern}")
        entries[pattern] = reason
    return entries


def read_reasons(path: Path) -> dict[str, str]:
    """Reads the exception list at `path`."""
    return parse_reasons(path.read_text(encoding="utf-8"))
