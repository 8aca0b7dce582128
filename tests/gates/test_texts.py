"""Texts of others reach terminals, logs, events and metrics by one function only (`kernelbal.model.text`)."""

import ast
import importlib
import pkgutil
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest

import kernelbal.model
import kernelbal.runtime.api
from kernelbal.model.status import AS_IT_IS, SEVERAL_LINES, Part
from kernelbal.store.codec import encode_document

ROOT = Path(__file__).parents[2]
HOSTILE = "\x1b[2J\x9b\u202e\u200b\n\r\u2028\udcff\U000e0041"
OUTPUTS = {"cli/output.py", "cli/progress.py", "cli/status.py", "cli/app.py"}
"""Modules that write to a standard stream: what is said, progress, clearing the screen, the version."""


def documents() -> list[type[Part]]:
    for package in (kernelbal.model, kernelbal.runtime.api):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    return sorted(Part.__subclasses__(), key=lambda each: each.__name__)


def hostile(hint: Any) -> Any:  # noqa: ANN401 - any type expression
    """A value of a type, with all text in it hostile."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return hostile(arguments[0])
    if origin in (Union, UnionType):
        return hostile(next(each for each in arguments if each is not NoneType))
    if origin is list:
        return [hostile(arguments[0])]
    if origin is dict:
        return {hostile(arguments[0]): hostile(arguments[1])}
    if origin is Literal:
        return arguments[0]
    if issubclass(hint, Enum):
        return next(iter(hint))
    if issubclass(hint, Part):
        return made_hostile(hint)
    return HOSTILE if hint is str else hint(1)


def made_hostile(kind: type[Part]) -> Part:
    hints = get_type_hints(kind, include_extras=True)
    return kind(**{name: hostile(hint) for name, hint in hints.items()})


def texts(document: Any) -> Iterator[str]:  # noqa: ANN401 - any value
    """Every text in a document that is shown."""
    if isinstance(document, str):
        yield document
    elif isinstance(document, dict):
        for pair in document.items():
            yield from texts(list(pair))
    elif isinstance(document, list):
        for each in document:
            yield from texts(each)
    elif isinstance(document, Part):
        hints = get_type_hints(type(document), include_extras=True)
        for name, hint in hints.items():
            marks = getattr(hint, "__metadata__", ())
            if AS_IT_IS in marks:
                continue
            for text in texts(getattr(document, name)):
                yield from text.split("\n") if SEVERAL_LINES in marks else [text]


@pytest.mark.parametrize("kind", documents(), ids=lambda each: each.__name__)
def test_documents_hold_printable_lines_only(kind: type[Part]) -> None:
    document = made_hostile(kind)
    assert all(text.isprintable() for text in texts(document))


def test_document_of_a_peer_is_no_exception() -> None:
    from kernelbal.model.status import ErrorAnswer

    sent = msgspec.json.decode(b'{"error": "a\\u001b[2J\\nb", "hint": ""}', type=ErrorAnswer)
    assert encode_document(sent) == rb'{"error":"a\\x1b[2J\\nb","hint":""}'


def streams(tree: ast.Module) -> bool:
    """Whether code prints, or writes to a standard stream."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="print") | ast.Attribute(attr="echo" | "secho")):
                return True
            case ast.Call(func=ast.Attribute(attr="write", value=ast.Attribute(attr="stdout" | "stderr"))):
                return True
            case _:
                pass
    return False


def test_commands_print_by_one_module() -> None:
    source = ROOT / "kernelbal"
    found = {
        path.relative_to(source).as_posix()
        for folder in ("cli", "realserver")
        for path in (source / folder).rglob("*.py")
        if streams(ast.parse(path.read_text()))
    }
    assert found == OUTPUTS
