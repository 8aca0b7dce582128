"""`kernelbal rs verify`: what is refused before anything is asked; the tests of the lab have the rest."""

import os
import signal
from pathlib import Path

import pytest

from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.cli.rs_verify import ENDING, chosen, endings_as_interrupts
from kernelbal.model.site import Site
from tests.support.cli_harness import NODE, SITE
from tests.unit.health.scene import site_of


def done(tmp_path: Path, capsys: pytest.CaptureFixture[str], site: str, *arguments: str) -> tuple[int, str]:
    (tmp_path / "site.yaml").write_text(site)
    (tmp_path / "node.yaml").write_text(NODE)
    documents = ["--site", str(tmp_path / "site.yaml"), "--node", str(tmp_path / "node.yaml")]
    code = run(["rs", "verify", *arguments, *documents, "--state-dir", str(tmp_path / "state")])
    return code, capsys.readouterr().err


def test_unknown_service_is_refused_with_those_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, words = done(tmp_path, capsys, SITE, "mail")
    assert code == ExitCode.FAILED
    assert words == "error: there is no virtual service `mail`\n  hint: there are: web\n"
    assert not (tmp_path / "state").exists()


def test_site_without_services(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = done(tmp_path, capsys, "virtual_services: []\n")
    assert code == ExitCode.FAILED
    assert "the site has no virtual services" in words
    assert "hint: add one" in words


def test_document_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rs", "verify", "--site", "/no/such/site.yaml"]) == ExitCode.NO_INPUT
    assert "hint: " in capsys.readouterr().err


def test_all_services_unless_one_is_named() -> None:
    (service,) = site_of().virtual_services
    site = Site(virtual_services=(service, service.model_copy(update={"name": "dns"})))
    assert chosen(site, "") == {"web", "dns"}
    assert chosen(site, "dns") == {"dns"}


def test_signals_that_end_the_command_unwind_it_once() -> None:
    before = [signal.getsignal(number) for number in ENDING]
    cleaned_up = []

    def interrupted() -> None:
        with endings_as_interrupts():
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            finally:
                for number in ENDING:
                    os.kill(os.getpid(), number)
                cleaned_up.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert cleaned_up
    assert [signal.getsignal(number) for number in ENDING] == before
