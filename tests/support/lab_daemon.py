"""A running daemon on a lab's director, and web servers that can be killed."""

import contextlib
import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from kernelbal.lab import process
from kernelbal.lab.namespaces import Host
from tests.support.lab_commands import Operator

PATIENCE_S = 30.0
T = TypeVar("T")
POLL_S = 0.05


@dataclass
class Daemon:
    """A running `kernelbal run` and what it writes."""

    at: Operator
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def log_file(self) -> Path:
        return self.at.folder / "daemon.log"

    def start(self) -> None:
        folder = self.at.folder
        documents = [str(folder / "site.yaml"), "--node", str(folder / "node.yaml")]
        places = ["--state-dir", str(folder / "state"), "--socket", str(folder / "control.sock")]
        with self.log_file.open("a") as log, self.at.director.inside():
            command = [sys.executable, "-m", "kernelbal", "run", *documents, *places]
            self.started.append(process.start(command, stdout=log.fileno(), stderr=log.fileno()))

    @property
    def running(self) -> subprocess.Popen[str]:
        return self.started[-1]

    def end(self) -> int:
        """End it as systemd does, and return its exit status."""
        self.running.send_signal(signal.SIGTERM)
        return self.running.wait(20)

    def crash(self) -> None:
        self.running.kill()
        self.running.wait(20)

    def log(self) -> str:
        return self.log_file.read_text()

    def lines(self, topic: str) -> list[str]:
        """Log lines of a topic, without the time."""
        found = (line.partition(" ")[2] for line in self.log().splitlines())
        return [line for line in found if line.startswith(topic)]

    def await_line(self, pattern: str, *, after: int = 0, within_s: float = PATIENCE_S) -> str:
        """Wait for a log line that matches, past so many characters; return it."""
        return eventually(
            lambda: next((x for x in self.log()[after:].splitlines() if re.search(pattern, x)), ""),
            within_s,
            lambda: f"no line matches {pattern}\n{self.log()}",
        )

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Ask the control API once it listens, and return its answer."""
        path_of_socket = self.at.folder / "control.sock"
        asking = eventually(lambda: _dial(path_of_socket), PATIENCE_S, self.log)
        connection = http.client.HTTPConnection("localhost")
        connection.sock = asking
        with contextlib.closing(connection):
            headers = {"Content-Type": "application/json"}
            connection.request(method, path, json.dumps(body) if body else None, headers)
            response = connection.getresponse()
            said = response.read()
        assert response.status == 200, said
        found: dict[str, Any] = json.loads(said)
        return found

    def kernel(self) -> dict[str, str]:
        """What the kernel holds, but for counts that change with every connection."""
        found = self.at.snapshot()
        found["sysctls"] = re.sub(r".*_count = .*", "", found["sysctls"])
        return found

    def ipvs(self) -> dict[str, int]:
        """Weight by real server, in ipvsadm's words."""
        said = self.at.director.run(["ipvsadm", "--save", "--numeric"]).stdout
        return {m[1]: int(m[2]) for m in re.finditer(r"-a \S+ \S+ -r (\S+):80 .*-w (\d+)", said)}

    def await_ipvs(self, wanted: dict[str, int], within_s: float = PATIENCE_S) -> float:
        """Wait for weights; return how long that took, in seconds."""
        began_at = time.monotonic()
        eventually(
            lambda: self.ipvs() == wanted, within_s, lambda: f"{self.ipvs()} is not {wanted}\n{self.log()}"
        )
        return time.monotonic() - began_at


def eventually(ask: Callable[[], T], within_s: float, complain: Callable[[], str]) -> T:
    """Ask until the answer is a true value, and return that."""
    deadline_at = time.monotonic() + within_s
    while not (answer := ask()):
        assert time.monotonic() < deadline_at, complain()
        time.sleep(POLL_S)
    return answer


def _dial(path: Path) -> socket.socket | None:
    asking = socket.socket(socket.AF_UNIX)
    try:
        asking.connect(str(path))
    except OSError:
        asking.close()
        return None
    return asking


@dataclass
class Servers:
    """HTTP servers on real servers, each a process of its own."""

    running: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def start(self, host: Host) -> None:
        command = [sys.executable, "-m", "kernelbal.lab.traffic", host.name, "80"]
        self.running[host.name] = host.spawn(command)
        eventually(lambda: _accepts(host), PATIENCE_S, lambda: f"{host.name} does not listen")

    def kill(self, host: Host) -> None:
        self.running[host.name].kill()
        self.running[host.name].wait(20)


def _accepts(host: Host) -> bool:
    with host.inside():
        asking = socket.socket()
    with asking:
        return asking.connect_ex(("127.0.0.1", 80)) == 0
