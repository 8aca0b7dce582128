"""The kernel, the record and the documents, put together for a command."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kernelbal.cli.session import open_session, read_documents
from kernelbal.errors import PlanRefused
from kernelbal.kernel import linux
from tests.support.cli_harness import WEB, DirectorCli
from tests.support.fake_kernel import FakeKernel


def test_kernel_is_closed_whatever_happens(cli: DirectorCli, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []

    @contextmanager
    def kernel() -> Iterator[FakeKernel]:
        events.append("opened")
        try:
            yield cli.kernel
        finally:
            events.append("closed")

    monkeypatch.setattr(linux, "LinuxKernel", kernel)
    with pytest.raises(KeyboardInterrupt), open_session(cli.state_dir):
        raise KeyboardInterrupt
    assert events == ["opened", "closed"]


def test_session_uses_the_boot_clock_and_writes_nothing(cli: DirectorCli) -> None:
    with open_session(cli.state_dir) as session:
        assert session.reconciler.now() == cli.now
        assert session.store.path == cli.state_dir
    assert not cli.state_dir.exists()


def test_garbage_collection_is_on_again_afterwards(cli: DirectorCli) -> None:
    read_documents(cli.site, cli.node)
    with open_session(cli.state_dir):
        assert not gc.isenabled()
    assert gc.isenabled()


def test_services_have_the_names_of_the_site_file(cli: DirectorCli) -> None:
    documents = read_documents(cli.site, cli.node)
    assert documents.names == {WEB: "web"}
    assert (documents.site.virtual_services[0].name, documents.node.name) == ("web", "lb1")


def test_documents_that_do_not_fit_together_are_refused(cli: DirectorCli) -> None:
    cli.node.write_text("name: lb1\ninterfaces: {inside: eth1}\n")
    with pytest.raises(PlanRefused):
        read_documents(cli.site, cli.node)
