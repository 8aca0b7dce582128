"""Text from the project's templates: Jinja2, where an unknown name is an error, never an empty string."""

from __future__ import annotations

from pathlib import Path

_INSTALLED = Path(__file__).parent / "_templates"
_CHECKOUT = Path(__file__).parent.parent / "templates"


def template_directory() -> Path:
    """Return where the templates are: inside the installed package, or beside it in a checkout."""
    return _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT


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
