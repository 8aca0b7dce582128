"""Reading the site and node documents from disk."""

from __future__ import annotations

from pathlib import Path

from kernelbal.config.document import MAX_BYTES
from kernelbal.errors import FileUnreadable


def read_document(path: Path, what: str) -> bytes:
    """Return the bytes of a document; of an endless one, more than a document may have.

    Args:
        path: where it is.
        what: `site` or `node`, for the message.

    Raises:
        FileUnreadable: with the operating system's reason.
    """
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except OSError as error:
        hint = f"name the {what} document, or create {path}"
        raise FileUnreadable(f"cannot read {path}: {error.strerror}", hint) from error
