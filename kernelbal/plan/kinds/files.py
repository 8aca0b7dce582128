"""Files that bring a setup back at boot; the record has what each held before it was first written."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import ClassVar, Final, NamedTuple, cast

from kernelbal.plan.action import Action, ActionRow, Effect, Names, Phase, Rows
from kernelbal.plan.kind import ObjectKind, Planning, Scope


class WriteFile(NamedTuple):
    """Write a file, whole or not at all.

    Attributes:
        key: full path.
        old: what it held; None where there was none.
        contents: what it will hold.
    """

    key: str
    old: str | None
    contents: str

    def text(self, names: Names) -> str:
        """Name it."""
        return f"file {self.key}"


class RemoveFile(NamedTuple):
    """Take back a file that was written: put `before` in its place, or nothing.

    Attributes:
        key: full path.
        before: what it held before it was first written; None where there was none.
    """

    key: str
    before: str | None

    def text(self, names: Names) -> str:
        """Name it."""
        return f"file {self.key}" + ("" if self.before is None else " as it was")


Texts = Mapping[str, str]
Found = Mapping[str, str | None]


class Files(ObjectKind[Texts, Found, Found]):
    """Desired is the text by path; observed and recorded are None where there is, or was, no file."""

    title = "file"
    rows: ClassVar[Rows] = {
        WriteFile: ActionRow(Effect.CHANGE, Phase.WRITE_FILES, "write file"),
        RemoveFile: ActionRow(Effect.REMOVE, Phase.RELEASE_FILES, "remove file"),
    }

    def scope(self, desired: Texts, owned: Found) -> Scope:
        """Return the paths of desired and recorded files."""
        return sorted({*desired, *owned})

    def diff(self, planning: Planning) -> None:
        """Write what differs; what is no longer desired gets its former contents back."""
        desired, observed, owned = planning.parts(self)
        for path, contents in desired.items():
            if observed.get(path) != contents:
                planning.put(self, WriteFile(path, observed.get(path), contents))
        for path, before in owned.items():
            if path not in desired:
                planning.put(self, RemoveFile(path, before))

    def claim(self, owned: Found, actions: Sequence[Action], planning: Planning) -> Found:
        """Remember what was there before the first write."""
        return {each.key: each.old for each in actions if isinstance(each, WriteFile)} | dict(owned)

    def settle(self, owned: Found, done: Sequence[Action], desired: Texts) -> Found:
        """Forget what has its former contents again."""
        gone = {each.key for each in done if isinstance(each, RemoveFile)}
        return {path: before for path, before in owned.items() if path not in gone}

    def effect(self, action: Action) -> Effect:
        """A file that is new is added; one that gets its former contents back is changed."""
        if isinstance(action, WriteFile):
            return Effect.ADD if action.old is None else Effect.CHANGE
        return Effect.REMOVE if cast("RemoveFile", action).before is None else Effect.CHANGE

    def value(self, observed: Found, key: Hashable) -> object:
        """Return the contents."""
        return observed.get(str(key))

    def contents(self, action: Action) -> str:
        """Return what is written."""
        return action.contents if isinstance(action, WriteFile) else ""


NO_FILES: Texts = {}
NONE_FOUND: Found = {}
FILES: Final = Files("files", NO_FILES, NONE_FOUND, NONE_FOUND, dict[str, str], dict[str, str | None])
