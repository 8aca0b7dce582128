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
    EVENTS = "events"
    VRRP = "vrrp"


class SchemaFormat(Enum):
    """How the vocabulary is printed."""

    JSON = "json"
    MARKDOWN = "markdown"


DOCUMENT_ARGUMENT = typer.Argument(Document.SITE, help="Which document.")
FORMAT_OPTION = typer.Option(SchemaFormat.JSON, "--format", help="JSON Schema, or the reference page.")


def schema(
    document: Document = DOCUMENT_ARGUMENT,
    output: SchemaFormat = FORMAT_OPTION,
) -> int:
    """Print the schemas of the documents and of the API.

    JSON Schema of the site and node documents; for `api` the OpenAPI document, for `metrics` and
    `events` lists, for `vrrp` the state machine.
    """
    from kernelbal.cli.output import put
    from kernelbal.config.reference import json_schema, reference
    from kernelbal.model.node import Node
    from kernelbal.model.site import Site

    if document not in (Document.SITE, Document.NODE):
        put(_interface(document, output).rstrip("\n"))
        return ExitCode.OK
    model = Site if document is Document.SITE else Node
    put(json_schema(model) if output is SchemaFormat.JSON else reference(model).rstrip("\n"))
    return ExitCode.OK


def _interface(document: Document, output: SchemaFormat) -> str:
    from kernelbal.runtime.api import openapi
    from kernelbal.runtime.api import reference as pages
    from kernelbal.vrrp.reference import vrrp_json, vrrp_page

    writers = {
        (Document.API, SchemaFormat.JSON): openapi.openapi_json,
        (Document.API, SchemaFormat.MARKDOWN): pages.api_page,
        (Document.METRICS, SchemaFormat.JSON): pages.metrics_json,
        (Document.METRICS, SchemaFormat.MARKDOWN): pages.metrics_page,
        (Document.EVENTS, SchemaFormat.JSON): pages.events_json,
        (Document.EVENTS, SchemaFormat.MARKDOWN): pages.events_page,
        (Document.VRRP, SchemaFormat.JSON): vrrp_json,
        (Document.VRRP, SchemaFormat.MARKDOWN): vrrp_page,
    }
    return writers[document, output]()
