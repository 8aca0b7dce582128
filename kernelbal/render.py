"""Text from the data files: Jinja2 templates, where an unknown name is an error, and systemd units."""

from __future__ import annotations

from pathlib import Path

from kernelbal.errors import StateError

_PACKAGE = Path(__file__).parent

UNIT_PROGRAM = "/usr/bin/kernelbal"
"""The program that units name as they are in the package."""


def template_directory() -> Path:
    """Return where the templates are."""
    return _data_directory("templates")


def unit_directory() -> Path:
    """Return where the systemd units are."""
    return _data_directory("systemd")


def _data_directory(name: str) -> Path:
    """Return a directory of data files: inside the installed package, or beside it in a checkout."""
    installed = _PACKAGE / f"_{name}"
    return installed if installed.is_dir() else _PACKAGE.parent / name


def unit_text(name: str, program: Path) -> str:
    """Return a systemd unit that runs `program`.

    Args:
        name: of the unit, such as `kernelbal.service`.
        program: full path of the `kernelbal` command.

    Raises:
        StateError: systemd takes no such path.
    """
    text = (unit_directory() / name).read_text(encoding="utf-8")
    return text.replace(UNIT_PROGRAM, _escaped(program))


def _escaped(program: Path) -> str:
    """Return a path as `systemd.service(5)` wants it in front of a command line."""
    path = str(program)
    if set(path) & set("'\"\\\n"):
        raise StateError(f"systemd cannot start {path}", "install kernelbal where no name has quotes")
    path = path.replace("%", "%%")
    return f'"{path}"' if set(path) & set(" \t") else path


def render(name: str, /, **values: object) -> str:
    """Return a template filled in.

    Args:
        name: path below the templates, such as `director/node.yaml.j2`.
        values: what the template names.

    Raises:
        jinja2.UndefinedError: the template names something that is not given.
        jinja2.TemplateNotFound: there is no such template.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(  # noqa: S701 - configuration files, not HTML
        loader=FileSystemLoader(template_directory()),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(values)
