"""Somebody at a director: the real commands in this process, on a kernel in memory."""

import errno
import json
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from kernelbal.cli.app import run
from kernelbal.cli.exit_codes import ExitCode
from kernelbal.kernel import linux
from kernelbal.plan.actions import Action
from kernelbal.store import boot
from kernelbal.store.state import StateDirectory
from tests.support.fake_kernel import FakeKernel
from tests.unit.plan.samples import link, real, route, service

WEB, TLS = service("192.0.2.10", 80), service("192.0.2.10", 443)
A, B = real("10.0.0.11"), real("10.0.0.12")
SITE = """\
virtual_services:
  - name: web
    address: 192.0.2.10
    ports: 80
    forwarding: nat
    scheduler: wlc
    drain: 20s
    real_servers: [{address: 10.0.0.12}, {address: 10.0.0.11, weight: 50}]
"""
WITHOUT_SECOND = SITE.replace("{address: 10.0.0.12}, ", "")
NODE = "name: lb1\ninterfaces: {outside: eth0, inside: eth1}\n"
SYSCTLS = {
    "net/ipv4/ip_forward": "0",
    "net/ipv4/conf/all/send_redirects": "0",
    "net/ipv4/conf/eth0/send_redirects": "0",
    "net/ipv4/conf/eth1/send_redirects": "0",
    "net/ipv4/vs/conntrack": "0",
    "net/ipv4/vs/conn_reuse_mode": "1",
    "net/ipv4/vs/expire_nodest_conn": "1",
    "net/ipv4/vs/expire_quiescent_template": "1",
}
"""A kernel that routes nothing yet and has all but one sysctl (`snat_reroute`) as a site wants them."""


class Said(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The JSON document on standard output, which then holds nothing else."""
        parsed: dict[str, Any] = json.loads(self.out)
        return parsed


@dataclass
class Desk:
    """Documents, a state directory, a kernel and a clock; sleeping moves the clock."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    kernel: FakeKernel
    now: float = 1000.0

    def write(self, site: str) -> None:
        """Replace the site document."""
        self.site.write_text(site)

    @property
    def site(self) -> Path:
        return self.folder / "site.yaml"

    @property
    def node(self) -> Path:
        return self.folder / "node.yaml"

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def store(self) -> StateDirectory:
        return StateDirectory(self.state_dir)

    def say(self, command: str, *options: str) -> Said:
        """Run a command."""
        documents = (
            (str(self.site), "--node", str(self.node)) if command in ("plan", "apply", "status") else ()
        )
        code = run([command, *documents, "--state-dir", str(self.state_dir), *options])
        captured = self.capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def apply(self, site: str) -> None:
        """Apply a site that is right, and forget what was said."""
        self.write(site)
        said = self.say("apply", "--no-wait")
        assert said.code == ExitCode.OK, said.err
        self.kernel.performed.clear()

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds

    def open(self) -> AbstractContextManager[FakeKernel]:
        """Stand in for `LinuxKernel`."""
        return nullcontext(self.kernel)

    def refuse(self, kind: type[Action], error: int = errno.EINVAL) -> None:
        """Let the kernel refuse every action of a kind."""
        self.kernel.refuse = lambda action: error if isinstance(action, kind) else 0


def make_desk(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Return a desk whose kernel holds two devices with their routes."""
    kernel = FakeKernel(
        links={"eth0": link("eth0"), "eth1": link("eth1")},
        routes=(route("192.0.2.0/24", "eth0"), route("10.0.0.0/24", "eth1")),
        sysctls=dict(SYSCTLS),
    )
    desk = Desk(folder, capsys, kernel)
    desk.node.write_text(NODE)
    desk.write(SITE)
    monkeypatch.setattr(linux, "LinuxKernel", desk.open)
    monkeypatch.setattr(boot, "boot_clock_s", lambda: desk.now)
    monkeypatch.setattr(time, "sleep", desk.sleep)
    monkeypatch.setenv("NO_COLOR", "1")
    return desk


def without_ipvs(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel know nothing of IPVS."""
    observe = FakeKernel.observe
    monkeypatch.setattr(
        FakeKernel, "observe", lambda self, *args: replace(observe(self, *args), ipvs_available=False)
    )
    monkeypatch.setattr(FakeKernel, "read_counters", lambda *_: pytest.fail("there is nothing to count"))
