"""Reading the site and node documents from disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from kernelbal.model.node import Node
    from kernelbal.model.site import Site

SITE_FILE = Path("/etc/kernelbal/site.yaml")
NODE_FILE = Path("/etc/kernelbal/node.yaml")

# What cannot be read is reported where it is read, with a remedy: typer only knows that it is not readable.
SITE_ARGUMENT = typer.Argument(SITE_FILE, help="The site document.", show_default=True, readable=False)
NODE_OPTION = typer.Option(NODE_FILE, "--node", help="The node document.", readable=False)
STATE_OPTION = typer.Option(
    Path("/var/lib/kernelbal"),
    "--state-dir",
    envvar="KERNELBAL_STATE_DIR",
    readable=False,
    help="Where kernelbal keeps its records and operators' orders.",
)


def read_site(path: Path) -> Site:
    """Return the validated site document.

    Raises:
        FileUnreadable: it cannot be read.
        ConfigError: it is not a valid site.
    """
    from kernelbal.config.load import load_site
    from kernelbal.store.documents import read_document

    return load_site(read_document(path, "site"), str(path))


def read_node(path: Path) -> Node:
    """Return the validated node document.

    Raises:
        FileUnreadable: it cannot be read.
        ConfigError: it is not a valid node.
    """
    from kernelbal.config.load import load_node
    from kernelbal.store.documents import read_document

    return load_node(read_document(path, "node"), str(path))


def read_text(path: Path, what: str) -> str:
    """Return a document as it is written.

    Args:
        path: where it is.
        what: `site` or `node`.

    Raises:
        FileUnreadable: it cannot be read.
        ConfigError: it is no text.
    """
    from kernelbal.config.load import load_node, load_site
    from kernelbal.store.documents import read_document

    raw = read_document(path, what)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        (load_site if what == "site" else load_node)(raw, str(path))
        raise
