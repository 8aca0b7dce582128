"""Script checks: a program without a shell, as another user, within limits, killed at its timeout.

The program has a session of its own, so that all it starts can be ended at once. What leaves the session ends
with the limit on processor time at the latest, and is counted by the limit on processes of its user.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import signal
import subprocess
import time
from collections.abc import Callable
from typing import Final

from kernelbal.health.checks.script import MAX_OUTPUT_BYTES, environment, result_of, timed_out
from kernelbal.model.event import Topic
from kernelbal.model.site.check import ScriptCheck
from kernelbal.runtime.checker import reasons
from kernelbal.runtime.checker.reactor import ProbeRun, ProbeTask, Reactor
from kernelbal.runtime.checker.sockets import ProbeSetupError
from kernelbal.runtime.checker.wire import Notice
from kernelbal.runtime.identity import identity_of

MAX_SCRIPTS: Final = 64
"""Most programs at a time; further runs are skipped."""
MAX_DESCRIPTORS: Final = 256
DEATH_MS: Final = 20
"""How long the loop waits for a killed program, in milliseconds; after that it is reaped when it ends."""
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_READ_BYTES: Final = 4096
_PIPE_BYTES: Final = 65536
"""All that a pipe holds (`PIPE_DEF_BUFFERS`, pipe(7)): what an ended program has left in it."""
_MIB: Final = 1024 * 1024


class ScriptRun(ProbeRun):
    """One running program."""

    __slots__ = ("_descriptor", "_driver", "_output", "_process", "_reactor", "_reading")

    def __init__(self, driver: ScriptDriver, task: ProbeTask, process: subprocess.Popen[bytes]) -> None:
        super().__init__(task, driver.reactor.now)
        self._driver = driver
        self._reactor = driver.reactor
        self._process = process
        self._output = b""
        self._descriptor = os.pidfd_open(process.pid)
        self._reading = -1 if process.stderr is None else process.stderr.fileno()
        os.set_blocking(self._reading, False)
        self._reactor.watch(self._descriptor, select.EPOLLIN, self._ended, self)
        self._reactor.watch(self._reading, select.EPOLLIN, lambda _mask: self._read(_READ_BYTES), self)

    def expire(self, now: float) -> None:
        """Fail at the timeout, and kill the session."""
        self.close()
        self._reactor.finish(self, timed_out(self.task.timing.timeout_s), None)

    def close(self) -> None:
        """Kill the program and everything in its session."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._stop_reading()
        if _has_ended(self._descriptor):
            self._forget(0)
        else:
            self._reactor.rewatch(self._descriptor, select.EPOLLIN, self._forget, self)

    def _forget(self, _mask: int) -> None:
        """Reap the program."""
        self._process.wait()
        self._reactor.unwatch(self._descriptor)
        os.close(self._descriptor)
        self._driver.running.discard(self)

    def _read(self, limit: int) -> None:
        """Keep the end of its output, in small reads, so that it can neither block nor flood the loop."""
        try:
            data = os.read(self._reading, limit)
        except BlockingIOError:
            return
        if not data:
            self._stop_reading()
        self._output = (self._output + data)[-MAX_OUTPUT_BYTES:]

    def _stop_reading(self) -> None:
        if self._reading >= 0 and self._process.stderr is not None:
            self._reactor.unwatch(self._reading)
            self._process.stderr.close()
            self._reading = -1

    def _ended(self, _mask: int) -> None:
        if self._reading >= 0:
            self._read(_PIPE_BYTES)
        status = self._process.wait()
        self.close()
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._reactor.finish(self, result_of(status, self._output), now - self.started_at)


class ScriptDriver:
    """Starts programs.

    Attributes:
        running: those that run, and those that were killed but hang, as on a dead file server.
    """

    def __init__(self, reactor: Reactor) -> None:
        self.reactor = reactor
        self.running: set[ScriptRun] = set()

    def start(self, task: ProbeTask) -> None:
        """Start the program of a probe."""
        if len(self.running) >= MAX_SCRIPTS:
            message = f"{MAX_SCRIPTS} check scripts running: further ones skipped"
            self.reactor.skip(task, Notice(Topic.CHECKER_STARVED, message, "raise `interval`"))
            return
        check = task.probe.protocol
        if not isinstance(check, ScriptCheck):
            raise TypeError(f"{check} has no program")
        try:
            process = _spawn(check, task)
        except ProbeSetupError as error:
            self.reactor.skip(task, error.notice)
            return
        except OSError as error:
            self._not_started(task, check, error)
            return
        try:
            run = ScriptRun(self, task, process)
        except OSError as error:  # out of descriptors
            process.kill()
            process.communicate()
            self._not_started(task, check, error)
            return
        self.running.add(run)
        self.reactor.begin(run)

    def _not_started(self, task: ProbeTask, check: ScriptCheck, error: OSError) -> None:
        number = error.errno or 0
        if number in reasons.RESOURCE_ERRORS:
            self.reactor.starve(task, number)
            return
        message = f"check script {check.argv[0]} cannot be run: {error.strerror}"
        self.reactor.skip(task, Notice(Topic.CHECKER_UNABLE, message, "it must be an executable file"))


def _has_ended(descriptor: int) -> bool:
    """Return whether a killed program ends soon; one that hangs in the kernel does not."""
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN)
    return bool(waiting.poll(DEATH_MS))


def _spawn(check: ScriptCheck, task: ProbeTask) -> subprocess.Popen[bytes]:
    """Start a program as its user.

    Raises:
        Obstacle: there is no such user, or this process may not become it.
        OSError: it cannot be started.
    """
    try:
        identity = identity_of(check.user)
    except KeyError:
        message = f"there is no user `{check.user}` to run a check script as"
        raise ProbeSetupError(Notice(Topic.CHECKER_UNABLE, message, "correct `user`")) from None
    try:
        return subprocess.Popen(  # noqa: S603 - the site's own program and arguments, without a shell
            check.argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            cwd="/",
            env={"PATH": _PATH, "LANG": "C.UTF-8", **environment(task.probe.target)},
            start_new_session=True,
            user=identity.user,
            group=identity.group,
            extra_groups=identity.extra_groups,
            umask=0o077,
            preexec_fn=_limiter(check, task.timing.timeout_s),
        )
    except subprocess.SubprocessError as error:
        raise ProbeSetupError(
            Notice(Topic.CHECKER_UNABLE, f"cannot set the limits of a check script: {error}")
        ) from error
    except PermissionError as error:
        # A file that may not be executed is EACCES; EPERM comes from becoming another user.
        if identity.user is not None and error.errno == errno.EPERM:
            message = f"running a check script as `{check.user}` needs CAP_SETUID and CAP_SETGID"
            raise ProbeSetupError(Notice(Topic.CHECKER_UNABLE, message, "add them to the service")) from error
        raise


def _limiter(check: ScriptCheck, timeout_s: float) -> Callable[[], None]:
    """Return a function that sets the limits in the child, before the program replaces it."""
    seconds = int(timeout_s) + 1
    memory = check.memory_mib * _MIB
    limits = (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_NOFILE, MAX_DESCRIPTORS),
        (resource.RLIMIT_NPROC, check.processes),
    )

    def limit() -> None:
        for kind, most in limits:
            hard = resource.getrlimit(kind)[1]
            value = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(kind, (value, value))

    return limit
