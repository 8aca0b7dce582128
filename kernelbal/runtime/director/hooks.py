"""Telling others what happens: scripts and webhooks of `notify` in the node document.

Each hook has a bounded queue and a task of its own, and is given one event at a time, in their order. One
that is slow or fails delays nobody else; what comes too fast is counted, and reported as one summary.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import subprocess
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from http import HTTPStatus
from typing import Final

from kernelbal.model.event import Event, Severity, Topic
from kernelbal.model.node import Hook
from kernelbal.model.status import Recorded
from kernelbal.model.units import counted
from kernelbal.runtime.confined import RUNS, Account, Accounts, arguments, end, why_refused
from kernelbal.store.codec import encode_document

LOG: Final = logging.getLogger("kernelbal.hooks")

QUEUED: Final = 1000
"""Most events that wait for one hook."""
MINUTE_S: Final = 60.0
SUBJECT_SHARE: Final = 4
"""One real server or virtual service takes at most this part, a quarter, of what a hook is given in a minute:
who decides how often it flaps must not hide others by it."""
_SAID_BYTES: Final = 400
_OWN: Final = frozenset({Topic.HOOK_FAILED.value})
"""A hook is not called for its own failure."""

Emit = Callable[[Event], None]
Deliver = Callable[[Hook, bytes], Awaitable[str]]
"""Hands an event to a hook and returns why that failed; empty when it did not."""


def wants(hook: Hook, topic: str) -> bool:
    """Return whether a hook is to be notified of a topic."""
    subject = topic.partition(".")[0]
    return topic not in _OWN and (not hook.topics or topic in hook.topics or subject in hook.topics)


@dataclass(slots=True)
class Allowance:
    """Counts events per minute.

    Attributes:
        per_minute: most that are notified.
        suppressed: how many were not, in this minute.
    """

    per_minute: int
    suppressed: int = 0
    _began_at: float = float("-inf")
    _taken: Counter[str] = field(default_factory=Counter)

    def take(self, subject: str, now: float) -> bool:
        """Return whether one more may be notified now.

        Args:
            subject: real server or virtual service that it is about; empty: about none, without a share.
            now: the time.
        """
        if now - self._began_at >= MINUTE_S:
            self._began_at, self._taken = now, Counter()
        share = max(1, self.per_minute // SUBJECT_SHARE) if subject else self.per_minute
        if self._taken[subject] >= share or self._taken.total() >= self.per_minute:
            self.suppressed += 1
            return False
        self._taken[subject] += 1
        return True

    def summary_at(self) -> float | None:
        """Return when to say how many were suppressed; None when none were."""
        return self._began_at + MINUTE_S if self.suppressed else None

    def take_summary(self) -> int:
        """Return how many were suppressed since the last summary."""
        count, self.suppressed = self.suppressed, 0
        return count


@dataclass(slots=True)
class _Line:
    """One hook with its queue."""

    hook: Hook
    allowance: Allowance
    queue: deque[Recorded] = field(default_factory=deque)
    more: asyncio.Event = field(default_factory=asyncio.Event)
    failing: str = ""


class Hooks:
    """All hooks of a node.

    Args:
        emit: takes events about hooks.
        now: seconds on a steady clock.
        deliver: hands an event to a hook.
    """

    def __init__(self, emit: Emit, now: Callable[[], float], deliver: Deliver | None = None) -> None:
        self._emit = emit
        self._now = now
        self._deliver = deliver or partial(deliver_to, accounts=Accounts())
        self._lines: list[_Line] = []
        self._replaced = asyncio.Event()

    def replace(self, hooks: Sequence[Hook]) -> None:
        """Notify these from now on."""
        if [line.hook for line in self._lines] == list(hooks):
            return
        self._lines = [_Line(hook, Allowance(hook.per_minute)) for hook in hooks]
        self._replaced.set()

    def offer(self, recorded: Recorded) -> None:
        """Queue an event for every hook that wants it; never waits."""
        for line in self._lines:
            if not wants(line.hook, recorded.topic):
                continue
            if len(line.queue) >= QUEUED or not line.allowance.take(
                recorded.server or recorded.service, self._now()
            ):
                line.allowance.suppressed += len(line.queue) >= QUEUED
                line.more.set()
                continue
            line.queue.append(recorded)
            line.more.set()

    async def run(self) -> None:
        """Serve the hooks until cancelled."""
        while True:
            self._replaced.clear()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._serve(line)) for line in self._lines]
                await self._replaced.wait()
                for task in tasks:
                    task.cancel()

    async def flush(self, within_s: float) -> None:
        """Give what is queued a last chance; used at the end."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                for line in self._lines:
                    while line.queue:
                        await self._hand_over(line, line.queue.popleft())

    async def _serve(self, line: _Line) -> None:
        while True:
            line.more.clear()
            while line.queue:
                await self._hand_over(line, line.queue.popleft())
            summary_at = line.allowance.summary_at()
            wait_s = None if summary_at is None else max(0.0, summary_at - self._now())
            try:
                async with asyncio.timeout(wait_s):
                    await line.more.wait()
            except TimeoutError:
                await self._summarise(line)

    async def _summarise(self, line: _Line) -> None:
        count = line.allowance.take_summary()
        message = (
            f"{counted(count, 'more event')} in one minute than `per_minute` of {name_of(line.hook)} allows"
        )
        self._emit(
            Event(
                Topic.HOOKS_SUPPRESSED,
                Severity.WARNING,
                f"{message}; `kernelbal events` has them",
                fields=(("hook", name_of(line.hook)), ("suppressed", str(count))),
            )
        )

    async def _hand_over(self, line: _Line, recorded: Recorded) -> None:
        try:
            fault = await self._deliver(line.hook, encode_document(recorded) + b"\n")
        except Exception as error:  # a defect; other events and hooks do not suffer from it
            LOG.exception("internal error in %s", name_of(line.hook))
            fault = f"internal error: {type(error).__name__}: {error}"
        if fault and fault != line.failing:
            self._emit(
                Event(
                    Topic.HOOK_FAILED,
                    Severity.WARNING,
                    f"{name_of(line.hook)} failed for {recorded.topic}: {fault}",
                    fields=(("hook", name_of(line.hook)),),
                )
            )
        line.failing = fault


def name_of(hook: Hook) -> str:
    """Return what a hook is called in messages; of a webhook only the host, as all else may be a secret."""
    if hook.webhook:
        return f"webhook {hook.webhook.host}"
    return f"script {hook.script[0]}"


async def deliver_to(hook: Hook, document: bytes, accounts: Accounts) -> str:
    """Hand an event to a hook within its timeout; return why that failed, empty when it did not."""
    try:
        async with asyncio.timeout(hook.timeout):
            if hook.webhook:
                return await _post(hook.webhook.url, document)
            return await _run(hook, document, accounts)
    except TimeoutError:
        return f"it took longer than {hook.timeout:g} s"


async def _post(url: str, document: bytes) -> str:
    """Post to a webhook; quote neither errors of aiohttp, which name its address, nor what it answers."""
    import aiohttp

    headers = {"Content-Type": "application/json"}
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=document, headers=headers, allow_redirects=False) as answer,
        ):
            return "" if answer.status < 300 else f"it answered {_status_text(answer.status)}"
    except aiohttp.ClientConnectorCertificateError as error:
        cause = error.certificate_error
        return f"its certificate is not valid: {getattr(cause, 'verify_message', type(cause).__name__)}"
    except aiohttp.ClientResponseError:
        return "what it answered is no HTTP"
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return f"it cannot be reached: {_cause(error)}"
    except Exception as error:  # noqa: BLE001 - a defect, reported with its traceback, without its text
        raise RuntimeError(type(error).__name__).with_traceback(error.__traceback__) from None


def _cause(error: Exception) -> str:
    if isinstance(error, OSError):
        number = error.errno or 0
        return os.strerror(number) if number > 0 else error.strerror or type(error).__name__
    return type(error).__name__


def _status_text(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


async def _run(hook: Hook, document: bytes, accounts: Accounts) -> str:
    """Run a script, confined; all that it starts ends with it."""
    if accounts.full:
        return f"{RUNS} hooks are running"
    try:
        account = accounts.take(hook.user, "hook")
    except KeyError:
        return f"there is no user `{hook.user}`"
    try:
        refusal = why_refused(hook.script[0], hook, account)
        return f"refused: {refusal}" if refusal else await _run_as(account, hook, document)
    except OSError as error:
        return f"it cannot be run: {error.strerror}"
    except subprocess.SubprocessError as error:
        return f"its limits cannot be set: {error}"
    finally:
        accounts.give_back(account)
        accounts.end_orphans()


async def _run_as(account: Account, hook: Hook, document: bytes) -> str:
    process = await asyncio.create_subprocess_exec(
        *hook.script,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": os.defpath, "LANG": "C.UTF-8"},
        **arguments(account, hook, math.ceil(hook.timeout) + 1),
    )
    try:
        output = await _converse(process, document)
        status = await process.wait()
    finally:
        end(account, process.pid)
        if process.returncode is None:
            await process.wait()
    return f"it exited with {status}: {output}" if status else ""


async def _converse(process: asyncio.subprocess.Process, document: bytes) -> str:
    """Feed the document and return the first words of what the script complains about."""
    assert process.stdin is not None
    assert process.stderr is not None
    with contextlib.suppress(ConnectionError):
        process.stdin.write(document)
        await process.stdin.drain()
    process.stdin.close()
    said = b""
    while chunk := await process.stderr.read(4096):
        said = (said + chunk)[:_SAID_BYTES]
    return " ".join(said.decode(errors="replace").split())
