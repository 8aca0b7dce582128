"""The project's own style rules, each a function from one parsed file to its violations."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAX_FUNCTION_LINES = 50
MAX_MODULE_LINES = 500
MAX_TEST_MODULE_LINES = 800
MIN_REASON_CHARACTERS = 8

SUPPRESSION = re.compile(
    r"#\s*(noqa|type:\s*ignore)\b(?P<rest>((?!#\s*(noqa|type:\s*ignore)).)*)", re.IGNORECASE
)
CODES_AND_REASON = re.compile(r"\s*(?::\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*|\[[a-z0-9, -]+\])(?P<reason>.*)")
WHOLE_FILE_SUPPRESSION = re.compile(r"#\s*(ruff|flake8):\s*noqa|#\s*mypy:\s*ignore-errors|#\s*pylint:")

CLOCK_MODULES = frozenset({"time", "sched"})
CLOCK_CALLS = frozenset(
    f"{prefix}{call}"
    for prefix in ("", "datetime.")
    for call in ("datetime.now", "datetime.utcnow", "datetime.today", "date.today")
)


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One Python file: its path relative to the project, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    @classmethod
    def parse(cls, path: str, text: str) -> "SourceFile":
        """Parses `text` as the contents of `path`."""
        return cls(path, text, ast.parse(text, path))

    @classmethod
    def read(cls, root: Path, file: Path) -> "SourceFile":
        """Reads and parses `file` below the project's `root`."""
        return cls.parse(file.relative_to(root).as_posix(), file.read_text(encoding="utf-8"))


def long_functions(source: SourceFile) -> Iterator[str]:
    """Functions of more than 50 lines, from `def` to the last line."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{source.path}:{node.lineno} {node.name}: {lines} lines (limit {MAX_FUNCTION_LINES})"


def long_modules(source: SourceFile) -> Iterator[str]:
    """Modules of more than 500 lines; a test module, which holds many small cases, may have 800."""
    limit = MAX_TEST_MODULE_LINES if source.path.startswith("tests/") else MAX_MODULE_LINES
    lines = len(source.text.splitlines())
    if lines > limit:
        yield f"{source.path}: {lines} lines (limit {limit})"


def unexplained_suppressions(source: SourceFile) -> Iterator[str]:
    """Suppressed warnings without the code that is suppressed or without a reason behind it."""
    for token in tokenize.generate_tokens(io.StringIO(source.text).readline):
        if token.type != tokenize.COMMENT:
            continue
        where = f"{source.path}:{token.start[0]}"
        if WHOLE_FILE_SUPPRESSION.search(token.string):
            yield f"{where} switches a check off for the whole file"
        elif not all(map(is_explained, SUPPRESSION.finditer(token.string))):
            yield f"{where} needs a code and a reason: {token.string}"


def is_explained(suppression: re.Match[str]) -> bool:
    """Whether a match of SUPPRESSION names what it suppresses and says why."""
    parts = CODES_AND_REASON.fullmatch(suppression["rest"])
    return parts is not None and len(parts["reason"].strip(" -#:")) >= MIN_REASON_CHARACTERS


def undocumented_names(source: SourceFile) -> Iterator[str]:
    """Public modules, classes, functions and methods without a docstring."""
    if ast.get_docstring(source.tree) is None:
        yield f"{source.path} has no module docstring"
    for node in public_definitions(source.tree):
        if ast.get_docstring(node) is None:
            yield f"{source.path}:{node.lineno} {node.name} has no docstring"


def public_definitions(
    parent: ast.Module | ast.ClassDef,
) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Definitions that another module may use: no leading underscore, not inside a function, no overload."""
    for node in parent.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            continue
        if node.name.startswith("_") or {"overload", "override"} & set(map(ast.unparse, node.decorator_list)):
            continue
        yield node
        if isinstance(node, ast.ClassDef):
            yield from public_definitions(node)


def clock_uses(source: SourceFile) -> Iterator[str]:
    """Reads of a clock and draws from the shared random generator: a pure module gets both as arguments."""
    for node in ast.walk(source.tree):
        match node:
            case ast.Import(names=names) if {name.name for name in names} & CLOCK_MODULES:
                yield f"{source.path}:{node.lineno} imports a clock: {ast.unparse(node)}"
            case ast.ImportFrom(module=module) if module in CLOCK_MODULES:
                yield f"{source.path}:{node.lineno} imports a clock: {ast.unparse(node)}"
            case ast.Attribute() if is_ambient(ast.unparse(node)):
                yield f"{source.path}:{node.lineno} is not pure: {ast.unparse(node)}"


def is_ambient(name: str) -> bool:
    """Whether a dotted name yields something else at every call."""
    return name in CLOCK_CALLS or (name.startswith("random.") and not name.startswith("random.Random"))
