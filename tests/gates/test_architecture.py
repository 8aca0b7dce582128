"""The page about the architecture lists the packages that there are, in the order of the import contracts."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = "docs/explanation/architecture.md"
ROW = re.compile(r"^\| `(?P<package>[a-z_/]+)` \| (?P<layer>pure|shell) \|", re.MULTILINE)


def listed(text: str) -> dict[str, str]:
    """Package by package of the table on the page, from the top layer down: `pure` or `shell`."""
    return {match["package"].removesuffix("/"): match["layer"] for match in ROW.finditer(text)}


def contradictions(text: str, layers: list[str], pure: list[str], packages: set[str]) -> list[str]:
    """Where the page, the import contracts and the tree differ."""
    table = listed(text)
    order = [name for line in layers for name in re.findall(r"kernelbal\.(\w+)", line)]
    whole = {name.removeprefix("kernelbal.") for name in pure}
    found = [f"{name}: on the page, not in the tree" for name in sorted(table.keys() - packages)]
    found += [f"{name}: in the tree, not on the page" for name in sorted(packages - table.keys())]
    if not found and list(table) != order:
        found.append(f"the page has {list(table)}, the contract {order}")
    return found + [
        f"{name}: {kind} on the page, the contract says otherwise"
        for name, kind in table.items()
        if (kind == "pure") != (name in whole)
    ]


def packages_of(root: Path) -> set[str]:
    """The packages and modules directly below kernelbal/, without the program's own entry."""
    top = (root / "kernelbal").iterdir()
    names = {path.stem for path in top if path.suffix == ".py" or (path / "__init__.py").exists()}
    return names - {"__init__", "__main__"}


def contracts() -> tuple[list[str], list[str]]:
    """The layers from the top down, and the pure modules."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = next(each["layers"] for each in found if each["type"] == "layers")
    return layers, next(
        each["source_modules"] for each in found if each["name"].startswith("The core is pure")
    )


def test_page_tree_and_contracts_agree() -> None:
    assert contradictions((ROOT / PAGE).read_text(), *contracts(), packages_of(ROOT)) == []


def test_contradictions_are_found() -> None:
    page = "| `shell` | shell | x |\n| `core` | pure | y |\n"
    layers, pure, tree = ["kernelbal.shell", "kernelbal.core"], ["kernelbal.core"], {"shell", "core"}
    assert contradictions(page, layers, pure, tree) == []
    assert len(contradictions(page, layers, pure, tree | {"new"})) == 1
    assert len(contradictions(page, layers, pure, {"core"})) == 1
    assert len(contradictions(page, layers[::-1], pure, tree)) == 1
    assert len(contradictions(page, layers, [], tree)) == 1
