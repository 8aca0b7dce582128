"""Runs the real command line on hosts of a lab, as an operator would."""

import io
import json
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernelbal.cli import app
from kernelbal.lab.demo import snapshot
from kernelbal.lab.namespaces import Host, NamespaceLab
from kernelbal.lab.process import Completed

NODE = {
    "two-arm": "name: lb1\ninterfaces: {outside: eth0, inside: eth1}\n",
    "one-arm": "name: lb1\ninterfaces: {outside: eth0, inside: eth0}\n",
}


def run_here(host: Host, argv: Sequence[str]) -> Completed:
    """Run the command line on a host, in this process: a new interpreter takes longer than all the rest."""
    out, err = io.StringIO(), io.StringIO()
    with host.inside(), redirect_stdout(out), redirect_stderr(err):
        status = app.run(list(argv))
    return Completed(("kernelbal", *argv), status, out.getvalue(), err.getvalue())


@dataclass
class Operator:
    """Somebody at the director, with a site file, a node file and a state directory."""

    lab: NamespaceLab
    folder: Path

    def __post_init__(self) -> None:
        (self.folder / "node.yaml").write_text(NODE[self.lab.topology.name])

    @property
    def director(self) -> Host:
        return self.lab.director

    def write(self, site: str) -> None:
        """Replace the site file."""
        (self.folder / "site.yaml").write_text(site)

    def kernelbal(self, command: str, *options: str, code: int = 0) -> Completed:
        """Run a command and demand its exit code."""
        documents = ("site.yaml", "--node", "node.yaml") if command in ("plan", "apply", "status") else ()
        where = [str(self.folder / name) if name.endswith(".yaml") else name for name in documents]
        state = ("--state-dir", str(self.folder / "state"))
        argv = [command, *where, *state, *options]
        if "--confirm" in options:  # a process that outlives the command watches over the time
            done = self.director.run([sys.executable, "-m", "kernelbal", *argv], check=False)
        else:
            done = run_here(self.director, argv)
        assert done.returncode == code, f"{command} exited with {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def changes(self) -> list[str]:
        """What a plan would do now."""
        document: dict[str, Any] = json.loads(self.kernelbal("plan", "--json").stdout)
        return [f"{action['sign']} {action['text']}" for action in document["actions"]]

    def apply(self, site: str, *options: str) -> None:
        """Replace the site file, apply it, and see that nothing is left to do."""
        self.write(site)
        self.kernelbal("apply", *options)
        assert self.changes() == []

    def snapshot(self) -> dict[str, str]:
        """Everything that kernelbal may change, in the words of other programs."""
        commands = {
            "ipvs": "ipvsadm --save --numeric",
            "timeouts": "ipvsadm --list --timeout",
            "addresses": "ip -oneline address show | sed 's/valid_lft.*//'",
            "nftables": "nft list ruleset",
            "sysctls": "sysctl --all --pattern '^net[.](ipv4[.]vs|ipv4[.]ip_f|ipv[46][.]conf|netfilter)'",
        }
        return {
            name: self.director.run(["bash", "-c", command], check=False).stdout
            for name, command in commands.items()
        }


@dataclass
class ServerOperator:
    """Somebody at a real server, with a state directory of its own."""

    host: Host
    folder: Path

    def run(self, command: str, *options: str, code: int = 0) -> Completed:
        """Run a command and demand its exit code."""
        argv = ["realserver", command, "--state-dir", str(self.folder / self.host.name), *options]
        done = run_here(self.host, argv)
        said = f"{self.host.name} {command}: {done.returncode}\n{done.stdout}{done.stderr}"
        assert done.returncode == code, said
        return done

    def apply(self, *options: str) -> None:
        """Apply, and see that nothing is left to do."""
        self.run("apply", "--persist", "none", *options)
        assert self.changes(*options) == []

    def changes(self, *options: str) -> list[str]:
        """What a plan would do now."""
        done = self.run("plan", "--json", "--persist", "none", *options)
        document: dict[str, Any] = json.loads(done.stdout)
        return [f"{step['sign']} {step['text']}" for step in document["steps"]]

    def undo(self, *virtual: str) -> None:
        """Undo."""
        self.run("undo", *virtual)

    def look(self) -> snapshot.Snapshot:
        """Everything that could have been changed."""
        return snapshot.take(self.host)
