"""Reading the documents from disk."""

from pathlib import Path

import pytest

from kernelbal.cli.documents import NODE_OPTION, SITE_ARGUMENT, STATE_OPTION, read_node, read_site
from kernelbal.errors import ConfigError, FileUnreadable
from tests.support.cli_harness import NODE, SITE


def test_documents_are_validated(tmp_path: Path) -> None:
    path = tmp_path / "any.yaml"
    path.write_text(SITE)
    assert [service.name for service in read_site(path).virtual_services] == ["web"]
    path.write_text(NODE)
    assert read_node(path).name == "lb1"
    with pytest.raises(ConfigError):
        read_site(path)


@pytest.mark.parametrize(
    ("make", "reason"), [(lambda _: None, "No such file or directory"), (Path.mkdir, "Is a directory")]
)
def test_unreadable_file_says_why_and_what_to_do(tmp_path: Path, make: object, reason: str) -> None:
    path = tmp_path / "site.yaml"
    assert callable(make)
    make(path)
    with pytest.raises(FileUnreadable) as caught:
        read_site(path)
    assert caught.value.message == f"cannot read {path}: {reason}"
    assert caught.value.hint == f"name the site document, or create {path}"


@pytest.mark.parametrize("option", [SITE_ARGUMENT, NODE_OPTION, STATE_OPTION], ids=["site", "node", "state"])
def test_what_may_not_be_read_is_no_wrong_usage(option: object) -> None:
    """Typer would say so without a remedy; running as root is one."""
    assert getattr(option, "readable", None) is False
