"""A folder with the documents of a small site."""

from pathlib import Path

import pytest

from tests.support.director_harness import NODE, SITE


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "node.yaml").write_text(NODE)
    return tmp_path
