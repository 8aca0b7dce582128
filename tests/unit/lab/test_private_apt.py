"""apt with a state of its own: where it looks and whom it trusts."""

from pathlib import Path

import pytest

from kernelbal.lab import private_apt
from kernelbal.lab.errors import KernelBuildError
from kernelbal.lab.private_apt import DEFAULT_MIRROR, keyring, mirror_from, render_sources


@pytest.mark.parametrize(
    ("targets", "mirror"),
    [
        ("Debian-Security http://s.example/x/\nDebian http://m.example/debian/\n", "http://m.example/debian"),
        ("Ubuntu http://archive.example/ubuntu/\n", DEFAULT_MIRROR),
        (" http://never-fetched.example/\n", DEFAULT_MIRROR),
        ("", DEFAULT_MIRROR),
    ],
)
def test_mirror_is_the_one_that_the_system_uses(targets: str, mirror: str) -> None:
    assert mirror_from(targets) == mirror


def test_source_is_checked_with_debians_keys() -> None:
    assert render_sources("sid", "http://m.example/debian", Path("/k.gpg")).splitlines() == [
        "Types: deb",
        "URIs: http://m.example/debian",
        "Suites: sid",
        "Components: main",
        "Signed-By: /k.gpg",
    ]


def test_missing_keys_are_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(private_apt, "_KEYRINGS", (tmp_path / "none.gpg",))
    with pytest.raises(KernelBuildError) as caught:
        keyring()
    assert caught.value.hint == "apt-get install debian-archive-keyring"
