"""No output has a secret of the documents: commands, daemon, events, hooks, children, replies of servers.

Documents that are refused are in `tests/unit/config/test_secrets.py`.
"""

import asyncio
import logging
import os
import pwd
import re
import socket
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from kernelbal.cli.exit_codes import ExitCode
from kernelbal.config.load import load_node, load_site
from kernelbal.errors import ApiFailed, ConfigError
from kernelbal.health.probes import plan_probes
from kernelbal.model.answers import ApplyRequest, ExplainRequest, PlanRequest
from kernelbal.model.health import Health, Probe
from kernelbal.model.node import ApiTls, Hook, Node
from kernelbal.model.overlay import Admin
from kernelbal.model.site import Site
from kernelbal.model.site.check import HttpCheck, LdapCheck, ScriptCheck
from kernelbal.model.status import Part, problem_document
from kernelbal.runtime.api import metrics
from kernelbal.runtime.api.documents import status_json
from kernelbal.runtime.api.tls import read_credentials
from kernelbal.runtime.checker.supervisor import CheckerSupervisor
from kernelbal.runtime.checker.wire import CheckerReport, Definition, ProbePage, ProbeSetReader
from kernelbal.runtime.confined import Accounts
from kernelbal.runtime.director.hooks import deliver_to
from kernelbal.store.codec import Malformed, encode_document
from tests.support.canary import NODE, SITE, canaries_in, secret_settings, secrets_in, settings
from tests.support.cli_harness import director_cli, run_cli
from tests.support.director_harness import DirectorHarness, play
from tests.unit.runtime.checker.desk import LIMIT_S, found, probe

ME = pwd.getpwuid(os.geteuid()).pw_name
CALLED_SECRET = re.compile(
    r"secret|passw|token|(^|_)key|credential|auth|cookie|header|body|webhook|url|sha|digest|community|psk"
)


def documents() -> tuple[Site, Node]:
    return load_site(SITE.encode(), "site.yaml"), load_node(NODE.encode(), "node.yaml")


def test_every_secret_setting_has_a_canary() -> None:
    found = [pair for document in documents() for pair in secrets_in(document)]
    assert {setting for setting, _ in found} == secret_settings()
    assert all(canaries_in(value) for _, value in found)


def holds_text(annotation: object) -> bool:
    return annotation is str or any(holds_text(each) for each in get_args(annotation))


def test_a_setting_that_is_called_like_a_secret_is_marked_as_one() -> None:
    unmarked = {
        f"{model.__name__}.{name}"
        for model, name in {*settings(Site), *settings(Node)} - secret_settings()
        if CALLED_SECRET.search(name) and holds_text(model.model_fields[name].annotation)
    }
    assert unmarked == {"ApiTls.key"}, "a path; mark others with `repr=False`"


@pytest.mark.parametrize("document", documents(), ids=["site", "node"])
def test_a_document_in_a_message_shows_no_secret(document: BaseModel) -> None:
    assert canaries_in(f"{document!r} {document}") == []
    assert canaries_in(str(document.model_dump())) != [], "there are some"


def test_an_address_of_a_webhook_in_a_message_is_its_host() -> None:
    _, node = documents()
    assert repr(node.notify[0].webhook) == "WebAddress(host='hooks.example.net')"


COMMANDS = (
    ("check", "{site}", "--node", "{node}"),
    ("check", "{site}", "--node", "{node}", "--json"),
    ("explain", "198.51.100.7", "192.0.2.10:80", "--file", "{site}", "--node", "{node}"),
    ("explain", "198.51.100.7", "192.0.2.10:80", "--file", "{site}", "--json"),
    ("plan", "{site}", "--node", "{node}", "--state-dir", "{state}", "--all"),
    ("plan", "{site}", "--node", "{node}", "--state-dir", "{state}", "--json"),
    ("apply", "{site}", "--node", "{node}", "--state-dir", "{state}", "--no-wait", "--json"),
    ("status", "{site}", "--node", "{node}", "--state-dir", "{state}"),
    ("status", "{site}", "--node", "{node}", "--state-dir", "{state}", "--json"),
    ("release", "--state-dir", "{state}"),
)


def test_commands_print_no_secret(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = director_cli(tmp_path, capsys, monkeypatch)
    cli.site.write_text(SITE)
    cli.node.write_text(NODE)
    for command in COMMANDS:
        words = [each.format(site=cli.site, node=cli.node, state=cli.state_dir) for each in command]
        done = run_cli(capsys, *words)
        assert done.code == ExitCode.OK, done.err
        assert done.out
        assert canaries_in(done.out + done.err) == [], words


class Outputs:
    """All that comes out of a daemon."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def add(self, *outputs: object) -> None:
        for each in outputs:
            match each:
                case Part():
                    self.texts.append(encode_document(each).decode())
                case bytes():
                    self.texts.append(each.decode())
                case _:
                    self.texts.append(str(each))


async def everything(daemon: DirectorHarness, into: Outputs) -> None:
    """Have a daemon do all that it can, in good times and bad."""
    delivered: list[bytes] = []
    apply = ApplyRequest(
        site=str(daemon.folder / "site.yaml"), node=str(daemon.folder / "node.yaml"), confirm_s=30.0
    )

    async def deliver(_: Hook, document: bytes) -> str:
        delivered.append(document)
        if len(delivered) > 1:
            raise LookupError("defect")
        return "it answered 404 Not Found"

    daemon.context.hooks._deliver = deliver
    director = daemon.director
    daemon.context.rounds.connections = lambda _: ()
    await daemon.begin()
    daemon.report({"10.0.0.11": Health.DOWN})
    await daemon.until(daemon.loop.now + 30)
    into.add(await director.plan(PlanRequest()), await director.plan(PlanRequest(site=SITE, node=NODE)))
    daemon.write(SITE.replace("interval: 5s", "interval: 6s"))
    into.add(await director.apply(apply, "root"), await director.rollback("root"))
    into.add(
        await director.explain(ExplainRequest(client="198.51.100.7", virtual_address="192.0.2.10", port=80))
    )
    for admin in (Admin.DRAIN, Admin.DISABLE, None):
        into.add(await director.order(admin, daemon.request("10.0.0.12", reason="work"), "root"))
    for broken in (
        SITE.replace("radius:", "raduis:"),
        SITE.replace("password", "pasword"),
        SITE + "  x: [",
        "x",
    ):
        daemon.write(broken)
        into.add(await director.reload("root"))
        with pytest.raises(ConfigError) as refused:
            await director.plan(PlanRequest(site=broken, node=NODE))
        into.add(*map(problem_document, refused.value.problems))
    (daemon.folder / "node.yaml").write_text(NODE.replace("https://", "https://["))
    into.add(await director.reload("root"))
    snapshot = director.status()
    into.add(snapshot.summary(), *status_json(snapshot), *metrics.render(snapshot), *delivered)
    into.add(*daemon.events())


def test_a_daemon_says_no_secret(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "node.yaml").write_text(NODE)
    outputs = Outputs()
    with caplog.at_level(logging.DEBUG):
        daemon = play(lambda daemon: everything(daemon, outputs), tmp_path)
    topics = {event.topic for event in daemon.events()}
    assert topics >= {"config.refused", "hook.failed", "real_server.down"}
    for text in (*outputs.texts, daemon.log.getvalue(), caplog.text):
        assert canaries_in(text) == []


def probes_with_a_script(script: str) -> dict[str, Probe]:
    site, _ = documents()
    check = ScriptCheck.model_validate(
        {"argv": ["/bin/sh", "-c", script], "user": ME, "allow_root": ME == "root"}
    )
    return {**plan_probes(site).probes, "script": probe(check, 80, key="script")}


def test_children_have_no_secret_in_arguments_or_environment(tmp_path: Path) -> None:
    seen: list[str] = []
    reported = asyncio.Event()

    def take(report: CheckerReport) -> None:
        if "script" in report.states:
            seen.extend(Path(f"/proc/{checker.pid}/{name}").read_text() for name in ("cmdline", "environ"))
            reported.set()

    checker = CheckerSupervisor(take, seen.append)

    async def scene() -> None:
        checker.set_probes(probes_with_a_script(f"cat /proc/self/environ > {tmp_path}/got"), {})
        async with asyncio.TaskGroup() as tasks, asyncio.timeout(LIMIT_S):
            running = tasks.create_task(checker.run())
            await reported.wait()
            running.cancel()

    asyncio.run(scene())
    assert any("kernelbal.runtime.checker" in each for each in seen)
    got = (tmp_path / "got").read_text()
    assert "KERNELBAL_ADDRESS" in got
    assert canaries_in("\n".join((*seen, got))) == []


def test_a_hook_gets_nothing_but_its_event(tmp_path: Path) -> None:
    script = f"cat - /proc/self/environ > {tmp_path}/got"
    hook = Hook.model_validate({"script": ["/bin/sh", "-c", script], "user": ME, "allow_root": ME == "root"})
    assert asyncio.run(deliver_to(hook, b'{"seq": 1}\n', Accounts())) == ""
    event, _, environment = (tmp_path / "got").read_text().partition("\n")
    assert event == '{"seq": 1}'
    assert {each.partition("=")[0] for each in environment.split("\0")} <= {
        "",
        "PATH",
        "LANG",
        "PWD",
        "SHLVL",
        "_",
    }


def sends_back(connection: socket.socket) -> None:
    """Send back what comes, as far as a server says why it refuses something."""
    came = connection.recv(65536)
    if came.startswith(b"POST"):
        secret = came.partition(b"Authorization: ")[2].partition(b"\r\n")[0]
        connection.sendall(b"no " + secret + b"\r\n")
    else:
        text = b"no " + came[came.rindex(b"c4nary") :]
        result = b"\x0a\x01\x31\x04\x00\x04" + bytes([len(text)]) + text
        answer = b"\x02\x01\x01\x61" + bytes([len(result)]) + result
        connection.sendall(b"\x30" + bytes([len(answer)]) + answer)


@pytest.mark.parametrize(
    "check",
    [
        HttpCheck(method="POST", headers={"Authorization": "Bearer c4nary-of-http"}, body="c4nary-of-body"),
        LdapCheck(dn="cn=probe", password="c4nary-of-ldap"),
    ],
    ids=lambda check: check.kind,
)
def test_a_server_that_sends_a_secret_back_does_not_bring_it_into_the_status(
    check: HttpCheck | LdapCheck,
) -> None:
    state = found(check, sends_back)
    assert "no (hidden)" in state.reason
    assert canaries_in(repr(state)) == []


@pytest.mark.parametrize(
    "definition",
    [
        Definition("radius", {"secret": ["c4nary"]}),
        Definition("ldap", {"dn": "x", "password": {"a": "c4nary"}}),
        Definition("http", {"headers": {"A": ["c4nary"]}, "body": 5, "method": "c4nary"}),
    ],
    ids=lambda definition: definition.kind,
)
def test_a_checker_that_refuses_a_definition_repeats_no_secret(definition: Definition) -> None:
    with pytest.raises(Malformed) as refused:
        ProbeSetReader().take(ProbePage([], [definition], {}, last=True))
    assert canaries_in(refused.value.message) == []


@pytest.mark.parametrize(
    "text", ["c4nary", "-----BEGIN PRIVATE KEY-----\nc4nary\n-----END PRIVATE KEY-----\n"]
)
def test_files_of_tls_are_not_quoted(text: str, tmp_path: Path) -> None:
    file = tmp_path / "api.pem"
    file.write_text(text)
    tls = ApiTls(address=b"\x7f\0\0\1", certificate=str(file), key=str(file), client_ca=str(file))
    with pytest.raises(ApiFailed) as refused:
        read_credentials(tls)
    assert canaries_in(f"{refused.value.message} {refused.value.hint} {refused.value.__cause__}") == []
