"""The daemon's part of the demo: `kernelbal run` keeps a site true, whatever happens around it."""

from __future__ import annotations

import contextlib
import json
import shlex
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from kernelbal.kernel.ipvs.table import IpvsTable
from kernelbal.lab import process
from kernelbal.lab.demo import watched_claims as claims
from kernelbal.lab.demo.stage import PROGRAM, Stage, run
from kernelbal.lab.errors import LabError
from kernelbal.lab.traffic import NameServers, ask_connection, connect, http_counts
from kernelbal.model.address import AF_INET, format_address, parse_address
from kernelbal.model.ipvs import Protocol, ServiceKey

if TYPE_CHECKING:
    import socket

    from kernelbal.lab.demo.events import CommandRan

LIMIT_S: Final = 30.0
"""How long anything is waited for: five times the slow start of the example, which takes longest."""
POLL_S: Final = 0.05
LOG_LIMIT_S: Final = 2.0
"""A line is written once the round that it reports is over."""
LAST_LINES: Final = 10
"""Lines of the daemon's log that a failure quotes."""
SOME_PROBES_S: Final = 2.0
"""Four intervals of the example's check."""
REQUESTS: Final = 60
SICK, LEAVING = "rs2", "rs1"
VIRTUAL: Final = "192.0.2.10"
PORT: Final = 80
SERVICE: Final = ServiceKey(AF_INET, Protocol.TCP, parse_address(VIRTUAL), PORT)


@dataclass
class Watch:
    """A director with its daemon, and what an operator does there.

    Attributes:
        stage: the topology.
        folder: holds the site file that the daemon reads, and its socket.
        servers: the web servers, by real server.
        addresses: IPv4 address by real server.
    """

    stage: Stage
    folder: Path
    servers: dict[str, NameServers]
    addresses: dict[str, str]
    daemon: subprocess.Popen[str] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "daemon.log"
        shutil.copy(self.stage.documents[0], self.site)
        shutil.copy(self.stage.documents[1], self.node)

    @property
    def site(self) -> Path:
        """The site file that the daemon reads."""
        return self.folder / "site.yaml"

    @property
    def node(self) -> Path:
        """The node file that the daemon reads."""
        return self.folder / "node.yaml"

    @property
    def full(self) -> dict[str, int]:
        """The configured weights by real server."""
        services = self.stage.site.virtual_services
        (service,) = (service for service in services if service.address == SERVICE.address)
        return {server.name or "": server.weight for server in service.real_servers}

    @property
    def socket(self) -> str:
        """Path of the daemon's socket."""
        return str(self.folder / "control.sock")

    def start(self) -> None:
        """Start the daemon."""
        self.stage.doing("starting kernelbal run")
        argv = [*PROGRAM, "run", str(self.site), "--node", str(self.node), "--socket", self.socket]
        argv += ["--state-dir", str(self.stage.state_dir)]
        with self.log.open("a") as log:
            self.daemon = self.stage.lab.director.spawn(argv, stdout=log.fileno(), stderr=log.fileno())

    def stop(self) -> int:
        """End the daemon politely and return its exit status."""
        return process.stop(self.daemon) if self.daemon else 0

    def kill(self) -> None:
        """End the daemon as a crash would."""
        if self.daemon is not None:
            self.daemon.kill()
            self.daemon.wait()

    def stop_servers(self) -> None:
        """End every web server."""
        for server in self.servers.values():
            server.stop()

    def run(self, *arguments: str, brief: bool = True) -> CommandRan:
        """Run a command that talks to the daemon."""
        argv = [*PROGRAM, *arguments, "--socket", self.socket]
        return run(self.stage, argv, shlex.join(["kernelbal", *arguments]), brief=brief)

    def weights(self) -> dict[str, int]:
        """Return the weights in the kernel by real server."""
        names = {address: name for name, address in self.addresses.items()}
        with self.stage.lab.director.inside(), IpvsTable.open() as table:
            server = table.read_services([SERVICE]).get(SERVICE)
        found = server.destinations.items() if server else ()
        return {names[format_address(key.address)]: attributes.weight for key, attributes in found}

    def until(self, reached: Callable[[], bool], what: str) -> float:
        """Wait until something is so and return how long that took.

        Raises:
            LabError: it is not so within `LIMIT_S`.
        """
        began_at = time.monotonic()
        while not reached():
            if time.monotonic() - began_at > LIMIT_S:
                weights = ", ".join(f"{name} {weight}" for name, weight in sorted(self.weights().items()))
                raise LabError(f"{what}: not within {LIMIT_S:g} s; weights: {weights or 'none'}")
            time.sleep(POLL_S)
        return time.monotonic() - began_at

    def has_address(self) -> bool:
        """Return whether the director holds the virtual address."""
        shown = self.stage.lab.director.run(["ip", "-oneline", "address", "show", "to", VIRTUAL])
        return VIRTUAL in shown.stdout

    def said(self) -> list[str]:
        """Return what the daemon has logged so far."""
        return self.log.read_text("utf-8").splitlines()

    def said_since(self, count: int, topic: str) -> str:
        """Return the first log line on a topic after `count` lines; empty when none comes."""
        deadline_at = time.monotonic() + LOG_LIMIT_S
        while time.monotonic() < deadline_at:
            for line in self.said()[count:]:
                if topic in line:
                    return line
            time.sleep(POLL_S)
        return ""

    def status(self) -> dict[str, Any] | None:
        """Return the daemon's status; None while it does not answer."""
        argv = [*PROGRAM, "status", "--json", "--socket", self.socket]
        done = self.stage.lab.director.run(argv, check=False)
        found: dict[str, Any] = json.loads(done.stdout) if done.returncode == 0 else {}
        return found if "node" in found else None


def play_watched(stage: Stage) -> None:
    """Play everything that the daemon does.

    Raises:
        LabError: the lab failed, or the daemon; the message ends with what the daemon logged last.
    """
    with contextlib.ExitStack() as stack:
        watch = _build(stage, stack)
        watch.start()
        stack.callback(watch.stop)
        try:
            for scene in _SCENES:
                scene(watch)
        except (LabError, OSError) as error:
            lines = " / ".join(watch.said()[-LAST_LINES:])
            raise LabError(f"{error}; the daemon logged: {lines}") from error
        stage.emit(claims.stopped(watch.stop(), watch.weights()))


def _build(stage: Stage, stack: contextlib.ExitStack) -> Watch:
    folder = stage.state_dir / "watched"
    folder.mkdir()
    servers = {host.name: NameServers([host], udp_ports=()) for host in stage.lab.real_servers}
    for each in servers.values():
        each.start()
    watch = Watch(stage, folder, servers, {host.name: host.address(4) for host in stage.lab.real_servers})
    stack.callback(watch.stop_servers)
    return watch


def _comes_up(watch: Watch) -> None:
    def serving() -> set[str]:
        return {name for name, weight in watch.weights().items() if weight}

    took_s = watch.until(lambda: serving() == set(watch.addresses), "every real server is in service")
    watch.until(lambda: watch.status() is not None, "the daemon answers")
    watch.stage.emit(claims.came_up(took_s, watch.weights()))
    watch.run("status", brief=False)


def _ask(watch: Watch) -> Counter[str]:
    watch.stage.doing(f"{REQUESTS} requests to http://{VIRTUAL}/")
    return http_counts(watch.stage.lab.client, VIRTUAL, PORT, count=REQUESTS)


def _real_server_fails_and_returns(watch: Watch) -> None:
    full, lines = watch.full[SICK], len(watch.said())
    watch.servers[SICK].stop()
    watch.stage.doing(f"the web server of {SICK} has been stopped")
    took_s = watch.until(lambda: not watch.weights().get(SICK), f"{SICK} gets no connections")
    watch.stage.emit(claims.failure_noticed(SICK, took_s, watch.said_since(lines, "real_server.down")))
    watch.stage.emit(claims.others_answer(SICK, _ask(watch), REQUESTS))
    (host,) = (host for host in watch.stage.lab.real_servers if host.name == SICK)
    watch.servers[SICK] = NameServers([host], udp_ports=())
    watch.servers[SICK].start()
    seen = list(_climb(watch, full))
    watch.stage.emit(claims.weight_climbed(SICK, seen, full))


def _climb(watch: Watch, full: int) -> Iterator[int]:
    """Yield each weight that the real server has in the kernel on its way up."""
    last = 0
    began_at = time.monotonic()
    while last < full and time.monotonic() - began_at < LIMIT_S:
        weight = watch.weights().get(SICK, 0)
        if weight != last:
            last = weight
            yield weight
        time.sleep(POLL_S)


@contextlib.contextmanager
def _held(watch: Watch, count: int) -> Iterator[dict[str, list[socket.socket]]]:
    """Hold connections open and yield them by the real server that serves them."""
    with contextlib.ExitStack() as stack:
        held: dict[str, list[socket.socket]] = {}
        for _ in range(count):
            connection = stack.enter_context(connect(watch.stage.lab.client, VIRTUAL, PORT))
            held.setdefault(ask_connection(connection), []).append(connection)
        yield held


def _alive(connections: list[socket.socket]) -> int:
    """Return how many connections still answer."""
    alive = 0
    for connection in connections:
        with contextlib.suppress(OSError):
            alive += bool(ask_connection(connection))
    return alive


def _real_server_is_drained(watch: Watch) -> None:
    with _held(watch, 10) as held:
        mine = held.get(LEAVING, [])
        watch.run("rs", "drain", LEAVING, "--timeout", "60s", "--reason", "new kernel", brief=False)
        answers = _ask(watch)
        watch.stage.emit(claims.drained(LEAVING, answers, REQUESTS, _alive(mine), len(mine)))
        watch.run("status", brief=False)
    took_s = watch.until(lambda: LEAVING not in watch.weights(), f"{LEAVING} is removed")
    watch.stage.emit(claims.left(LEAVING, took_s))
    watch.run("rs", "enable", LEAVING, brief=False)
    # Compared with the site file: the weights before may be those of a slow start.
    watch.until(lambda: watch.weights() == watch.full, f"{LEAVING} has its full weight again, as all others")


def _hands_change_the_kernel(watch: Watch) -> None:
    deeds = (
        ("the IPVS service", ["ipvsadm", "-D", "-t", f"{VIRTUAL}:{PORT}"], lambda: bool(watch.weights())),
        ("the virtual address", ["ip", "address", "del", f"{VIRTUAL}/32", "dev", "eth0"], watch.has_address),
    )
    for what, argv, is_there in deeds:
        lines = len(watch.said())
        run(watch.stage, argv, " ".join(argv), brief=True)
        took_s = watch.until(is_there, f"{what} is back")
        watch.stage.emit(claims.reverted(what, took_s, watch.said_since(lines, "drift.reverted")))


def _config_is_broken(watch: Watch) -> None:
    good = watch.site.read_text("utf-8")
    before = watch.weights()
    watch.site.write_text(good.replace("forwarding: nat", "forwarding: nut", 1), "utf-8")
    ran = watch.run("reload", brief=False)
    watch.stage.emit(claims.broken_config_refused(ran.status, before, watch.weights()))
    watch.site.write_text(good, "utf-8")
    watch.run("reload")


def _daemon_is_killed(watch: Watch) -> None:
    with _held(watch, 10) as held:
        every = [connection for connections in held.values() for connection in connections]
        before = watch.weights()
        watch.stage.doing("kill -9")
        watch.kill()
        answers = _ask(watch)
        lines = len(watch.said())
        watch.start()
        watch.until(lambda: watch.status() is not None, "the daemon answers again")
        time.sleep(SOME_PROBES_S)
        watch.stage.emit(claims.crash_survived(_alive(every), len(every), answers, REQUESTS))
        watch.stage.emit(claims.nothing_flapped(before, watch.weights(), watch.said()[lines:]))


_SCENES: Final = (
    _comes_up,
    _real_server_fails_and_returns,
    _real_server_is_drained,
    _hands_change_the_kernel,
    _config_is_broken,
    _daemon_is_killed,
)
