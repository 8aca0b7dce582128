"""The vocabulary as JSON Schema and as a reference page; both come from the models."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from inspect import cleandoc
from typing import get_origin

from pydantic import BaseModel, TypeAdapter

from kernelbal.config.wording import Setting, describe, setting_at
from kernelbal.model.site import Site
from kernelbal.plan.sysctls import IPVS_SYSCTLS

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_INTRODUCTION = """\
{summary}

This page is generated from the models: `kernelbal schema {name} --format markdown`. `kernelbal schema {name}`
prints the same vocabulary as JSON Schema, with which editors check and complete the document.

YAML 1.2: `true` and `false` are the only switches; `yes` and `22:22` are text. Each key is given once, and
unknown keys are refused. There are no anchors, aliases, tags or merge keys. IPv6 addresses need quotes within
`[...]` and `{{...}}`.
"""


_SYSCTLS = "`kernel.sysctls` takes these names; what kernelbal writes by itself, and why:"


def json_schema(model: type[BaseModel]) -> str:
    """Return the JSON Schema (2020-12) of a document."""
    document = {"$schema": DIALECT, **model.model_json_schema()}
    for _, inner in _models(model, ""):
        properties = document if inner is model else document["$defs"][inner.__name__]
        for key, default in _defaults(inner).items():
            properties["properties"][key]["default"] = default
    return json.dumps(document, indent=2, ensure_ascii=False)


def reference(model: type[BaseModel]) -> str:
    """Return the reference page of a document in Markdown."""
    name = model.__name__.lower()
    summary = (model.__doc__ or "").strip()
    parts = [f"# {name}.yaml\n", _INTRODUCTION.format(summary=summary, name=name)]
    sections: dict[type[BaseModel], str] = {}
    for title, inner in _models(model, ""):
        sections.setdefault(inner, title)
    parts += [_section(title, inner, sections) for inner, title in sections.items()]
    if model is Site:
        parts.append(_sysctls())
    return "\n".join(parts)


def _sysctls() -> str:
    lines = [
        "## Sysctls of IPVS",
        "",
        _SYSCTLS,
        "",
        "| sysctl | kernel | kernelbal | why |",
        "|---|---|---|---|",
    ]
    for sysctl in IPVS_SYSCTLS:
        kernel = f"`{sysctl.default}`" if sysctl.default else "automatic"
        ours = f"`{sysctl.recommended}`" if sysctl.recommended else "unchanged"
        lines.append(f"| `{sysctl.name}` | {kernel} | {ours} | {sysctl.reason} |")
    return "\n".join([*lines, ""])


def _models(model: type[BaseModel], title: str) -> Iterator[tuple[str, type[BaseModel]]]:
    """Yield the models of a document with the keys that lead to them, the outer ones first."""
    yield title, model
    for key in model.model_fields:
        setting, inner_title = _inside(model, key)
        if setting.model is not None:
            yield from _models(setting.model, f"{title}.{inner_title}".removeprefix("."))


def _inside(model: type[BaseModel], key: str) -> tuple[Setting, str]:
    """Return a setting of a model and its key; of a list or mapping, what is inside."""
    setting = setting_at(model, (key,))
    origin = get_origin(setting.annotation)
    if setting.wording is None and origin is tuple:
        return setting_at(model, (key, 0)), f"{key}[]"
    if setting.wording is None and origin is dict:
        return setting_at(model, (key, "NAME")), f"{key}.NAME"
    return setting, key


def _section(title: str, model: type[BaseModel], sections: dict[type[BaseModel], str]) -> str:
    """Return the section of a model; one that stands in several places is described at the first."""
    defaults = _defaults(model)
    lines = [f"## {title}", "", cleandoc(model.__doc__ or ""), ""] if title else []
    if not model.model_fields:
        return "\n".join(lines)
    lines += ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, field in model.model_fields.items():
        default = "required" if field.is_required() else _default(defaults.get(key))
        cells = (f"`{key}`", _value(model, key, sections), default, field.description or "")
        lines.append(f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |")
    return "\n".join([*lines, ""])


def _value(model: type[BaseModel], key: str, sections: dict[type[BaseModel], str]) -> str:
    setting, inner_title = _inside(model, key)
    if setting.model is None:
        kind = get_origin(setting_at(model, (key,)).annotation)
        words = describe(setting_at(model, (key,)))
        return f"{words}; each value {describe(setting)}" if kind is dict else words
    full = sections[setting.model]
    what = setting.wording or "a mapping"
    if inner_title != key:
        what = "a list of mappings" if inner_title.endswith("[]") else "mappings by name"
    anchor = re.sub(r"[^\w\- ]", "", full.lower())
    return f"{what}: [{full}](#{anchor})"


def _defaults(model: type[BaseModel]) -> dict[str, object]:
    """Return the default of each optional key, as a document would spell it."""
    return {
        key: TypeAdapter(field.rebuild_annotation()).dump_python(
            field.get_default(call_default_factory=True), mode="json", exclude_none=True
        )
        for key, field in model.model_fields.items()
        if not field.is_required()
    }


def _default(value: object) -> str:
    if value is None or isinstance(value, dict) or value == []:
        return "none"
    if isinstance(value, list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{json.dumps(value) if value == '' or isinstance(value, bool) else value}`"
