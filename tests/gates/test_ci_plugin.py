"""A skip in continuous integration fails the run, unless it is on the list of allowed skips."""

import pytest

from tests.ci_plugin import SkipsAreFailures, pytest_configure

pytest_plugins = ["pytester"]

SKIPPED_TEST = "import pytest\ndef test_a(): pytest.skip('no kernel')\ndef test_b(): pass\n"
SKIPPED_MODULE = "import pytest\npytest.skip('no kernel', allow_module_level=True)\n"
EXPECTED_FAILURE = "import pytest\n@pytest.mark.xfail\ndef test_a(): assert False\n"


def run(pytester: pytest.Pytester, text: str, *allowed: str) -> pytest.HookRecorder:
    pytester.makepyfile(test_it=text)
    return pytester.inline_run(plugins=[SkipsAreFailures(allowed)])


@pytest.mark.parametrize("text", [SKIPPED_TEST, SKIPPED_MODULE])
def test_skip_fails_the_run_and_is_named(
    pytester: pytest.Pytester, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert run(pytester, text).ret == pytest.ExitCode.TESTS_FAILED
    assert "no kernel" in capsys.readouterr().out


def test_allowed_skip_passes(pytester: pytest.Pytester) -> None:
    assert run(pytester, SKIPPED_TEST, "test_it.py::test_?").ret == pytest.ExitCode.OK


def test_expected_failure_is_no_skip(pytester: pytest.Pytester) -> None:
    assert run(pytester, EXPECTED_FAILURE).ret == pytest.ExitCode.OK


def test_failed_run_stays_failed(pytester: pytest.Pytester) -> None:
    assert run(pytester, SKIPPED_TEST + "def test_c(): assert 0\n").ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.parametrize(("value", "active"), [("1", True), ("", False)])
def test_only_ci_asks_for_it(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, value: str, active: bool
) -> None:
    monkeypatch.setenv("CI", value)
    config = pytester.parseconfig()
    pytest_configure(config)
    assert config.pluginmanager.has_plugin("kernelbal-skips-are-failures") is active
