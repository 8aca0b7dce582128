"""`kernelbal schema`: the vocabulary of the documents, for editors and for people."""

from __future__ import annotations

from enum import Enum

import typer

from kernelbal.cli.exit_codes import ExitCode

EPILOG = """Editors with the YAML language server check and complete a document while you type:

kernelbal schema > site.schema.json

Then begin site.yaml with this line:

# yaml-language-server: $schema=site.schema.json"""


class Document(Enum):
    """The documents that people write, and what programs read."""

    SITE = "site"
    NODE = "node"
    API = "api"
    METRICS = "metrics"


class Format(Enum):
    """How the vocabulary is printed."""

    JSON = "json"
    MARKDOWN = "markdown"


DOCUMENT_ARGUMENT = typer.Argument(Document.SITE, help="Which document.")
FORMAT_OPTION = typer.Option(Format.JSON, "--format", help="JSON Schema, or the reference page.")


def schema(
    document: Document = DOCUMENT_ARGUMENT,
    output: Format = FORMAT_OPTION,
) -> int:
    """Print what documents may hold, and what the API speaks.

    JSON Schema of the site and node documents; for `api` the OpenAPI document, for `metrics` a list.
    """
    from kernelbal.cli.output import put
    from kernelbal.config.reference import json_schema, reference
    from kernelbal.model.site import Node, Site

    if document in (Document.API, Document.METRICS):
        put(_interface(document, output).rstrip("\n"))
        return ExitCode.OK
    model = Site if document is Document.SITE else Node
    put(json_schema(model) if output is Format.JSON else reference(model).rstrip("\n"))
    return ExitCode.OK


def _interface(document: Document, output: Format) -> str:
    from kernelbal.runtime.api import openapi
    from kernelbal.runtime.api.reference import api_page, metrics_json, metrics_page

    if document is Document.API:
        return openapi.openapi_json() if output is Format.JSON else api_page()
    return metrics_json() if output is Format.JSON else metrics_page()
