"""Documents are read whole, but never without end."""

from pathlib import Path

import pytest

from kernelbal.errors import FileUnreadable
from kernelbal.store import documents
from kernelbal.store.documents import read_document


def test_no_more_is_read_than_tells_that_it_is_too_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "site.yaml"
    path.write_bytes(b"x" * 100)
    monkeypatch.setattr(documents, "MAX_BYTES", 10)
    assert len(read_document(path, "site")) == 11


def test_missing_document_is_named_with_the_remedy(tmp_path: Path) -> None:
    path = tmp_path / "node.yaml"
    with pytest.raises(FileUnreadable) as caught:
        read_document(path, "node")
    assert caught.value.message == f"cannot read {path}: No such file or directory"
    assert caught.value.hint == f"name the node document, or create {path}"
