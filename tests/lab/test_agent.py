"""The agent of a lab, spoken to over a socket as the command line does."""

import os
import socket
import threading
from collections.abc import Iterator

import pytest

from kernelbal.lab.agent import CANNOT_START, AgentSession
from kernelbal.lab.factory import LabFactory
from kernelbal.lab.frames import Decoder, Frame, Kind, ProgramRequest, parse_exit, size_frame
from kernelbal.lab.namespaces import NamespaceLab

pytestmark = pytest.mark.needs_root


class Client:
    """One end of a stream whose other end an agent serves."""

    def __init__(self, lab: NamespaceLab) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(10)
        self._theirs = theirs
        self._decoder = Decoder()
        self._frames: list[Frame] = []
        session = AgentSession(lab, theirs.fileno(), theirs.sendall)
        self._thread = threading.Thread(target=session.serve)
        self._thread.start()

    def ask(self, *argv: str, host: str = "rs1", terminal: bool = False) -> None:
        environment = {"PATH": os.environ["PATH"]}
        request = ProgramRequest(host, argv, "/", environment, terminal, 24, 80, "token")
        self.socket.sendall(request.frame().encode())
        assert self.next() == Frame(Kind.STARTED, b"token")

    def send(self, frame: Frame) -> None:
        self.socket.sendall(frame.encode())

    def next(self) -> Frame:
        while not self._frames:
            self._frames += self._decoder.feed(self.socket.recv(65536))
        return self._frames.pop(0)

    def rest(self) -> tuple[int, str, str]:
        """Exit status, output and errors of the running program."""
        said = {Kind.STDOUT: b"", Kind.STDERR: b""}
        while (frame := self.next()).kind is not Kind.EXIT:
            said[frame.kind] += frame.payload
        return parse_exit(frame), said[Kind.STDOUT].decode(), said[Kind.STDERR].decode()

    def close(self) -> None:
        self.socket.close()
        self._thread.join(10)
        assert not self._thread.is_alive()
        self._theirs.close()


@pytest.fixture
def client(lab: LabFactory) -> Iterator[Client]:
    made = Client(lab("one-arm"))
    yield made
    made.close()


def test_program_runs_on_its_host(client: Client) -> None:
    client.ask("ip", "-4", "-o", "addr", "show", "eth0", host="rs3")
    assert "10.0.0.13/24" in client.rest()[1]


def test_one_program_after_the_other(client: Client) -> None:
    for status in (0, 1, 77):
        client.ask("sh", "-c", f"echo {status}; exit {status}")
        assert client.rest() == (status, f"{status}\n", "")


def test_output_before_the_end_is_complete(client: Client) -> None:
    client.ask("seq", "100000")
    assert client.rest()[1] == "".join(f"{number}\n" for number in range(1, 100001))


def test_background_child_does_not_hold_the_end_up(client: Client) -> None:
    client.ask("sh", "-c", "sleep 30 & echo $!")
    status, said, _ = client.rest()
    assert status == 0
    os.kill(int(said), 15)


def test_cancelled_program_ends(client: Client) -> None:
    client.ask("sh", "-c", "echo $$; exec sleep 1000")
    pid = int(client.next().payload)
    client.send(Frame(Kind.CANCEL))
    assert client.rest()[0] == 128 + 15
    assert not os.path.exists(f"/proc/{pid}")


def test_new_request_ends_the_one_before(client: Client) -> None:
    client.ask("sh", "-c", "echo up; exec sleep 1000")
    assert client.next() == Frame(Kind.STDOUT, b"up\n")
    request = ProgramRequest("rs1", ("echo", "second"), "/", {"PATH": os.environ["PATH"]}, False, 24, 80, "2")
    client.send(request.frame())
    assert client.rest()[0] == 128 + 15
    assert client.next() == Frame(Kind.STARTED, b"2")
    assert client.rest() == (0, "second\n", "")


def test_terminal_has_a_size_that_changes_and_takes_input(client: Client) -> None:
    client.ask("sh", "-c", "stty size; read line; stty size; echo got $line", terminal=True)
    assert client.next() == Frame(Kind.STDOUT, b"24 80\r\n")
    client.send(size_frame(50, 132))
    client.send(Frame(Kind.INPUT, b"hello\r"))
    assert client.rest() == (0, "hello\r\n50 132\r\ngot hello\r\n", "")


def test_interrupt_key_reaches_the_program(client: Client) -> None:
    client.ask("sh", "-c", "echo up; exec sleep 1000", terminal=True)
    assert client.next() == Frame(Kind.STDOUT, b"up\r\n")
    client.send(Frame(Kind.INPUT, b"\x03"))
    assert client.rest()[0] == 128 + 2


@pytest.mark.parametrize(
    ("host", "program", "said"), [("rs9", "true", "no host rs9"), ("rs1", "nope", "cannot run nope")]
)
def test_what_cannot_start_is_said(client: Client, host: str, program: str, said: str) -> None:
    client.ask(program, host=host)
    status, _, errors = client.rest()
    assert status == CANNOT_START
    assert said in errors


def test_junk_is_survived(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    for junk, answer in ((b"\x63\xff\xff\xff\xff", "not a frame"), (b"\x01\0\0\0\x02{}", "not a request")):
        client.socket.sendall(junk)
        said = ""
        while answer not in said:  # what comes together with junk would be lost with it
            said += capsys.readouterr().err
    client.ask("true")
    assert client.rest()[0] == 0


def test_program_ends_with_its_client(lab: LabFactory) -> None:
    client = Client(lab("one-arm"))
    client.ask("sh", "-c", "echo $$; exec sleep 1000")
    pid = int(client.next().payload)
    client.socket.shutdown(socket.SHUT_WR)
    client.close()
    assert not os.path.exists(f"/proc/{pid}")
