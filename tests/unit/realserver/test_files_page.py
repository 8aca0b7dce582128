"""The page about the files says what the code does."""

import re
from pathlib import Path

from kernelbal.realserver.desired import setup_for
from kernelbal.realserver.persist.files import files_for
from kernelbal.realserver.persist.manager import Manager
from kernelbal.realserver.preparation import Method, Preparation
from kernelbal.render import render
from tests.support.realserver_host import HTTP, IPIP, VIP, VIP6, host, prepared

PAGE = (Path(__file__).parents[3] / "docs/reference/realserver-files.md").read_text()
COLUMNS = (
    prepared(),
    prepared(VIP6),
    prepared(method=Method.ARP),
    prepared(VIP, Method.REDIRECT, None, HTTP),
    prepared(VIP, Method.LOOPBACK, IPIP),
)
PATHS = {path: name for name, path in re.findall(r"^\| ([a-z, ]+) \| `(/etc/[^`]+)` \|$", PAGE, re.MULTILINE)}


def cell(manager: Manager, preparation: Preparation) -> str:
    files = files_for(setup_for((preparation,), host()), manager, render)
    return ", ".join(dict.fromkeys(PATHS[path].partition(",")[0] for path in files))


def test_every_file_of_every_manager_is_on_the_page() -> None:
    for manager in Manager:
        cells = " | ".join(cell(manager, each) for each in COLUMNS)
        row = re.sub(r" +", " ", f"| `{manager.value}` | {cells} |")
        assert row in PAGE
