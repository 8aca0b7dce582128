"""Asking the daemon: HTTP over its Unix socket."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import typer

from kernelbal.errors import (
    AccessDenied,
    ApiFailed,
    ConfigError,
    FileUnreadable,
    InvalidRequest,
    KernelbalError,
    KernelError,
    NoDaemon,
    NotPermitted,
    NotSupported,
    OrderRefused,
    PlanRefused,
    StateError,
)

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

    from kernelbal.model.answers import (
        ApplyAnswer,
        ApplyRequest,
        ExplainRequest,
        ExplanationDocument,
        PlanAnswer,
        PlanRequest,
    )
    from kernelbal.model.status import DirectorStatus, OrderAnswer, OrderRequest, Part, Recorded, ReloadAnswer

DEFAULT_SOCKET: Final = Path("/run/kernelbal/control.sock")
SOCKET_VARIABLE: Final = "KERNELBAL_SOCKET"
SOCKET_OPTION = typer.Option(
    DEFAULT_SOCKET, "--socket", envvar=SOCKET_VARIABLE, readable=False, help="Control socket of the daemon."
)
DAEMON_OPTION = typer.Option(
    None,
    "--socket",
    envvar=SOCKET_VARIABLE,
    readable=False,
    help="Control socket of the daemon; `api.socket` of the node document by default.",
)
PATIENCE_S: Final = 60.0
"""How long an answer may take, in seconds; an order waits for its round."""

_NOT_RUNNING: Final = (
    "start it: `systemctl start kernelbal`, or `kernelbal run`; or name its socket: --socket"
)
_NOT_ALLOWED: Final = "run it as root, or add one of your groups to `api.change_groups` or `api.read_groups`"
_ERRORS: Final[dict[int, type[KernelbalError]]] = {401: AccessDenied, 403: AccessDenied}
_KINDS: Final[dict[str, type[KernelbalError]]] = {
    each.__name__: each
    for each in (
        *(ConfigError, FileUnreadable, InvalidRequest, KernelError, NotPermitted, NotSupported),
        *(OrderRefused, PlanRefused, StateError),
    )
}
"""Errors of the daemon that are this command's own: with the same text and exit code as without a daemon."""


P = TypeVar("P", bound="Part")


class ApiClient:
    """A client of the control API.

    Args:
        path: of the Unix socket.
        patience_s: how long an answer may take; None: for ever.
    """

    def __init__(self, path: Path, patience_s: float | None = PATIENCE_S) -> None:
        self._path = path
        self._patience_s = patience_s

    def status(self) -> DirectorStatus:
        """Return the director's status.

        Raises:
            NoDaemon: nobody listens at the socket.
            AccessDenied: this user may not.
            ApiFailed: the answer cannot be understood.
        """
        from kernelbal.model.status import DirectorStatus

        return self._understood(DirectorStatus, self._ask("GET", "/v1/status"))

    def order(self, what: str, request: OrderRequest) -> OrderAnswer:
        """Give an order: `drain`, `disable` or `enable`.

        Raises:
            OrderRefused: no such real server or virtual service.
            NoDaemon, AccessDenied, ApiFailed: as for `status`.
        """
        from kernelbal.model.status import OrderAnswer

        return self._post(OrderAnswer, f"/v1/real-servers/{what}", request)

    def reload(self) -> ReloadAnswer:
        """Make the daemon re-read its files.

        Raises:
            NoDaemon, AccessDenied, ApiFailed: as for `status`.
        """
        from kernelbal.model.status import ReloadAnswer

        return self._post(ReloadAnswer, "/v1/reload")

    def plan(self, request: PlanRequest) -> PlanAnswer:
        """Ask what the daemon would do with documents.

        Raises:
            NoDaemon, AccessDenied, ApiFailed: as for `status`.
            KernelbalError: as the daemon raised it.
        """
        from kernelbal.model.answers import PlanAnswer

        return self._post(PlanAnswer, "/v1/plan", request)

    def apply(self, request: ApplyRequest) -> ApplyAnswer:
        """Let the daemon bring its documents into force.

        Raises:
            KernelbalError: as for `plan`.
        """
        from kernelbal.model.answers import ApplyAnswer

        return self._post(ApplyAnswer, "/v1/apply", request)

    def confirm(self) -> None:
        """Let the daemon keep what was applied.

        Raises:
            KernelbalError: as for `plan`.
        """
        from kernelbal.model.answers import ConfirmAnswer

        self._post(ConfirmAnswer, "/v1/confirm")

    def rollback(self) -> ApplyAnswer:
        """Let the daemon undo what was applied.

        Raises:
            KernelbalError: as for `plan`.
        """
        from kernelbal.model.answers import ApplyAnswer

        return self._post(ApplyAnswer, "/v1/rollback")

    def explain(self, request: ExplainRequest) -> ExplanationDocument:
        """Ask where a connection goes.

        Raises:
            KernelbalError: as for `plan`.
        """
        from kernelbal.model.answers import ExplanationDocument

        return self._post(ExplanationDocument, "/v1/explain", request)

    def events(self, after: int, limit: int) -> list[Recorded]:
        """Return events with a number above `after`, the oldest first.

        Raises:
            NoDaemon, AccessDenied, ApiFailed: as for `status`.
        """
        from kernelbal.runtime.api.routes import EventsAnswer

        answer = self._ask("GET", f"/v1/events?after={after}&limit={limit}")
        return self._understood(EventsAnswer, answer).events

    def follow(self, after: int) -> Iterator[Recorded]:
        """Yield events as they happen, until the daemon ends.

        Raises:
            NoDaemon, AccessDenied, ApiFailed: as for `status`.
        """
        from kernelbal.model.status import Recorded

        connection, answer = self._open("GET", f"/v1/events?after={after}&follow=1", None)
        try:
            for line in answer:
                if line.strip():
                    yield self._understood(Recorded, line)
        except OSError as error:
            raise ApiFailed(
                f"the stream of events was interrupted: {error}", "the daemon's log says why"
            ) from error
        finally:
            connection.close()

    def _post(self, model: type[P], target: str, request: Part | None = None) -> P:
        from kernelbal.store.codec import encode_document

        body = None if request is None else encode_document(request)
        return self._understood(model, self._ask("POST", target, body))

    def _ask(self, method: str, target: str, body: bytes | None = None) -> bytes:
        from http.client import HTTPException

        connection, answer = self._open(method, target, body)
        try:
            return answer.read()
        except (OSError, HTTPException) as error:
            raise self._broken(error) from error
        finally:
            connection.close()

    def _open(self, method: str, target: str, body: bytes | None) -> tuple[HTTPConnection, HTTPResponse]:
        from http.client import HTTPException

        connection = _connection(self._path, self._patience_s)
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            connection.connect()
        except OSError as error:
            connection.close()
            raise self._unreachable(error) from error
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise _refusal(answer.status, answer.read())
        except (OSError, HTTPException) as error:
            connection.close()
            raise self._broken(error) from error
        except KernelbalError:
            connection.close()
            raise
        return connection, answer

    def _unreachable(self, error: OSError) -> KernelbalError:
        if isinstance(error, PermissionError):
            return AccessDenied(f"this user may not speak to the daemon at {self._path}", _NOT_ALLOWED)
        return NoDaemon(f"no daemon answers at {self._path}: {error.strerror or error}", _NOT_RUNNING)

    def _broken(self, error: Exception) -> KernelbalError:
        hint = "`journalctl -u kernelbal` shows its log"
        why = str(error) or type(error).__name__
        return ApiFailed(f"the daemon at {self._path} did not answer: {why}", hint)

    def _understood(self, model: type[P], raw: bytes) -> P:
        from kernelbal.store.codec import Malformed, decode_document

        try:
            return decode_document(model, raw)
        except Malformed as error:
            hint = "command and daemon are of different versions? restart the daemon"
            raise ApiFailed(f"invalid answer of the daemon: {error.message}", hint) from error


def daemon_of(socket: Path | None, node: Path) -> ApiClient:
    """Return a client of the daemon that there may be on this machine.

    Args:
        socket: of the daemon, as named by the user; None takes that of the node document.
        node: the node document; without one the daemon has the socket that is the default.

    Raises:
        FileUnreadable, ConfigError: the node document cannot be used.
    """
    from kernelbal.cli.documents import read_node

    if socket is None:
        socket = Path(read_node(node).api.socket) if node.exists() else DEFAULT_SOCKET
    return ApiClient(socket)


def _connection(path: Path, patience_s: float | None) -> HTTPConnection:
    import socket
    from http.client import HTTPConnection

    class _Unix(HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self.sock.settimeout(patience_s)
            self.sock.connect(os.fspath(path))

    return _Unix("localhost")


def _refusal(status: int, raw: bytes) -> KernelbalError:
    from kernelbal.model.status import ErrorAnswer, problem_of
    from kernelbal.store.codec import Malformed, decode_document

    try:
        answer = decode_document(ErrorAnswer, raw)
    except Malformed:
        answer = ErrorAnswer(error=f"the daemon answered with HTTP status {status}", hint="")
    kind = _KINDS.get(answer.kind, _ERRORS.get(status, ApiFailed))
    if kind is ConfigError and answer.problems:
        return ConfigError(tuple(problem_of(each) for each in answer.problems))
    if issubclass(kind, KernelError):
        return kind("", "", 0, answer.error, answer.hint or None)
    return kind(answer.error, answer.hint or None)
