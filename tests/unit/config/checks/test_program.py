"""Programs of a document."""

import pytest

from kernelbal.config.checks.program import program_conflicts
from kernelbal.model.program import ProgramSettings


@pytest.mark.parametrize(
    ("program", "settings", "places"),
    [
        ("/bin/a", {}, []),
        ("/bin/a", {"user": "nobody"}, []),
        ("/bin/a", {"user": "root", "allow_root": True}, []),
        ("/bin/a", {"user": "root"}, [("user",)]),
        ("a", {"user": "root"}, [("argv", 0), ("user",)]),
    ],
)
def test_programs_are_found_by_full_paths_and_do_not_run_as_root(
    program: str, settings: dict[str, object], places: list[tuple[str | int, ...]]
) -> None:
    found = program_conflicts(("argv",), program, ("user",), ProgramSettings.model_validate(settings))
    assert [violation.path for violation in found] == places
