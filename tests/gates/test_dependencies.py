"""Every dependency is locked by version and hash, explained, and comes from the index alone."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
RUNTIME = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
DEVELOPMENT = [Requirement(text) for text in PROJECT["dependency-groups"]["dev"]]
LOCK_FILES = ("constraints.txt", "requirements.txt")


def locked(text: str) -> dict[Requirement, int]:
    """Requirements of a lock file, with the number of hashes of each."""
    lines = [
        line for line in text.replace("\\\n", " ").splitlines() if line and not line.lstrip().startswith("#")
    ]
    return {Requirement(line.partition(" --hash")[0]): line.count("--hash=sha256:") for line in lines}


HASHES, RUNTIME_HASHES = (locked((ROOT / name).read_text()) for name in LOCK_FILES)
LOCKED = [*HASHES]
PACKAGE_LINES = [
    line.split(maxsplit=2)
    for line in (ROOT / "scripts/packages.txt").read_text().splitlines()
    if line and not line.startswith("#")
]


def exact_version(requirement: Requirement) -> str:
    """The one version that a lock line allows.

    Raises:
        ValueError: when it allows more than one, or names a place instead.
    """
    specifiers = list(requirement.specifier)
    if (
        requirement.url
        or len(specifiers) != 1
        or specifiers[0].operator != "=="
        or "*" in specifiers[0].version
    ):
        raise ValueError(f"not locked to one version: {requirement}")
    return specifiers[0].version


def explained(page: str) -> set[str]:
    """Names in the first column of the page's tables."""
    return {canonicalize_name(name) for name in re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)}


def test_sweeps_are_not_empty() -> None:
    assert min(len(RUNTIME), len(DEVELOPMENT), len(LOCKED), len(PACKAGE_LINES)) > 4


@pytest.mark.parametrize("requirement", [*RUNTIME, *DEVELOPMENT], ids=str)
def test_dependency_is_locked_within_its_bounds(requirement: Requirement) -> None:
    name = canonicalize_name(requirement.name)
    (version,) = [exact_version(lock) for lock in LOCKED if canonicalize_name(lock.name) == name]
    assert requirement.specifier.contains(version)


@pytest.mark.parametrize("lock", LOCKED, ids=str)
def test_lock_names_one_version(lock: Requirement) -> None:
    assert exact_version(lock)


@pytest.mark.parametrize("planted", ["rich>=14", "rich", "rich==14.*", "rich @ file:///tmp/rich.whl"])
def test_loose_lock_is_refused(planted: str) -> None:
    with pytest.raises(ValueError, match="not locked"):
        exact_version(Requirement(planted))


@pytest.mark.parametrize("name", LOCK_FILES)
def test_lock_names_no_local_path(name: str) -> None:
    assert re.findall(r"file:|(?<![\w:/])/[a-z]+/", (ROOT / name).read_text()) == []


@pytest.mark.parametrize("locks", [HASHES, RUNTIME_HASHES], ids=LOCK_FILES)
def test_every_lock_has_hashes(locks: dict[Requirement, int]) -> None:
    assert [str(lock) for lock, hashes in locks.items() if not hashes] == []


def test_directors_run_what_development_tests() -> None:
    assert {(lock.name, str(lock.specifier)) for lock in RUNTIME_HASHES} <= {
        (lock.name, str(lock.specifier)) for lock in HASHES
    }
    names = {canonicalize_name(lock.name) for lock in RUNTIME_HASHES}
    assert {canonicalize_name(requirement.name) for requirement in RUNTIME} <= names


def loose_installs(text: str) -> list[str]:
    """Lines that install with pip what no lock file names by hash."""
    text = re.sub(r'"\n\s*"', "", text)  # a text of Python that goes on in the next line
    lines = re.findall(r"pip[3x]? install[^\n`]*", text)
    return [line for line in lines if "--require-hashes" not in line and "--no-deps" not in line]


def test_every_documented_installation_is_by_hash() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs/how-to").glob("*.md"), *(ROOT / "docs/tutorial").glob("*.md")]
    pages += [*(ROOT / "kernelbal").rglob("*.py"), *(ROOT / "templates").rglob("*.*")]
    found = {page.name: loose_installs(page.read_text()) for page in pages}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "/opt/kernelbal/bin/pip install ./kernelbal",
        "pip install --upgrade kernelbal",
        "pipx install --global .",
    ],
)
def test_loose_installation_is_found(planted: str) -> None:
    assert loose_installs(
        f"First:\n\n    {planted}\n    pip install --require-hashes -r requirements.txt\n"
    ) == [planted.partition("bin/")[2] or planted]


def test_every_dependency_has_its_line_and_no_line_is_stale() -> None:
    page = (ROOT / "docs/explanation/dependencies.md").read_text()
    names = {canonicalize_name(requirement.name) for requirement in [*RUNTIME, *DEVELOPMENT]}
    assert explained(page) == names


def test_table_column_is_read() -> None:
    assert explained("| name | why |\n| --- | --- |\n| `PyYAML` | x |\ntext `rich` |\n") == {"pyyaml"}


def test_every_distribution_package_has_its_set_and_reason() -> None:
    sets = {"venv", "lab", "test", "unpack", "lint", "kernel", "qemu"}
    assert [line for line in PACKAGE_LINES if len(line) < 3 or line[0] not in sets] == []
    packages = [line[1] for line in PACKAGE_LINES]
    assert len(packages) == len(set(packages))
