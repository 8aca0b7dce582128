"""The unit as systemd itself judges it."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from kernelbal.render import unit_directory, unit_text
from tests.support.systemd import analyze

ROOT = Path(__file__).parents[2]
UNIT = "kernelbal.service"
PAGE = ROOT / "docs/reference/systemd.md"
EXPLAINED_BY_ITSELF = frozenset({"Description", "Type", "ExecStart", "WantedBy"})


def judged(folder: Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Let systemd judge the unit as it is installed, or another text."""
    unit = folder / UNIT
    unit.write_text(text or unit_text(UNIT, Path(sys.executable)))
    return analyze(unit, *arguments)


def exposure(folder: Path, text: str | None = None) -> float:
    """The exposure level: 0.0 is none, 10.0 is a service without restrictions."""
    said = judged(folder, "security", "--offline=true", "--no-pager", text=text).stdout
    found = re.search(r"Overall exposure level for kernelbal\.service: ([0-9.]+)", said)
    assert found is not None, said
    return float(found[1])


def recorded() -> float:
    """The exposure level that the documentation promises."""
    found = re.search(r"^Exposure level: \*\*([0-9.]+)\*\*", PAGE.read_text(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def directives() -> list[str]:
    """Names of the settings in the unit, in their order."""
    lines = (unit_directory() / UNIT).read_text().splitlines()
    return [line.partition("=")[0] for line in lines if re.match(r"[A-Za-z]+=", line)]


def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    done = judged(tmp_path, "verify", "--man=no")
    assert (done.returncode, done.stderr) == (0, "")


def test_systemd_would_find_a_wrong_word(tmp_path: Path) -> None:
    wrong = unit_text(UNIT, Path(sys.executable)).replace("ProtectHome=", "ProtectHouse=")
    assert "ProtectHouse" in judged(tmp_path, "verify", "--man=no", text=wrong).stderr


def test_the_exposure_is_not_worse_than_recorded(tmp_path: Path) -> None:
    assert recorded() <= 2.5
    threshold = f"--threshold={recorded() * 10:.0f}"
    done = judged(tmp_path, "security", "--offline=true", "--no-pager", threshold)
    assert done.returncode == 0, done.stdout


def test_the_recorded_exposure_is_the_real_one(tmp_path: Path) -> None:
    """Another version of systemd may count a little more or less."""
    assert exposure(tmp_path) == pytest.approx(recorded(), abs=0.3)


@pytest.mark.parametrize("line", ["ProtectSystem=strict", "NoNewPrivileges=yes", "PrivateDevices=yes"])
def test_without_a_line_the_exposure_is_worse(tmp_path: Path, line: str) -> None:
    text = unit_text(UNIT, Path(sys.executable))
    assert line in text
    assert exposure(tmp_path, text.replace(f"{line}\n", "")) > exposure(tmp_path)


def test_every_setting_is_in_the_reference() -> None:
    page = PAGE.read_text()
    missing = [name for name in directives() if name not in EXPLAINED_BY_ITSELF and f"`{name}" not in page]
    assert missing == []


def test_no_capability_is_there_without_a_reason_beside_it() -> None:
    text = (unit_directory() / UNIT).read_text()
    (line,) = re.findall(r"^CapabilityBoundingSet=(.+)$", text, re.MULTILINE)
    comment = text[: text.index("CapabilityBoundingSet=")].rpartition("\n\n")[2]
    for capability in line.split():
        assert re.search(rf"^#.*\b{capability.removeprefix('CAP_')}\b", comment, re.MULTILINE), capability
