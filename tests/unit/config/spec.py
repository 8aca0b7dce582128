"""Documents and the problem blocks that they must lead to, written as `kernelbal check` prints them."""

from textwrap import dedent

from kernelbal.config.load import load_site
from kernelbal.errors import ConfigError, Problem

FILE = "site.yaml"

DSR = {"forwarding": "dsr"}


def blocks(problems: tuple[Problem, ...]) -> str:
    """Every problem as `line:column key: message`, its expectation after `=`, its hint after `?`."""
    lines: list[str] = []
    for problem in problems:
        span = problem.span
        assert span is not None, problem
        assert span.file == FILE
        key = f" {problem.key}" if problem.key else ""
        lines.append(f"{span.line}:{span.column}{key}: {problem.message}")
        lines += [f"  = {problem.expected}"] if problem.expected else []
        lines += [f"  ? {problem.hint}"] if problem.hint else []
    return "\n".join(lines)


def refused(document: str) -> str:
    """The blocks of a refused site document; it counts its lines from the first one that is not empty."""
    try:
        load_site(text_of(document), FILE)
    except ConfigError as error:
        return blocks(error.problems)
    raise AssertionError("the document was accepted")


def text_of(document: str) -> bytes:
    """The document without its indentation and its first, empty line."""
    return dedent(document).lstrip("\n").encode()


def expect(text: str) -> str:
    """Expected blocks without their indentation."""
    return dedent(text).strip()


def service(
    extra: str = "", *, servers: str = "{address: 10.0.0.11}", base: dict[str, str] | None = None
) -> str:
    """A document with one virtual service; `extra` are further keys in flow style."""
    keys = {"name": "web", "address": "192.0.2.10", "ports": "80", "forwarding": "nat", **(base or {})}
    flow = ", ".join([*(f"{key}: {value}" for key, value in keys.items()), *filter(None, [extra])])
    return f"virtual_services:\n- {{{flow}, real_servers: [{servers}]}}\n"
