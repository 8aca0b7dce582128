"""Where the record is."""

from pathlib import Path

import pytest

from kernelbal.errors import StateError
from kernelbal.realserver.setup import Record
from kernelbal.realserver.store import RecordStore
from tests.support.realserver_host import prepared
from tests.support.states import owned_of

RECORD = Record((prepared(),), owned_of(sysctls={"net/ipv4/conf/all/arp_ignore": "0"}))


def test_record_is_kept_beside_the_directors(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    assert store.load_record() == Record()
    store.save_record(RECORD)
    assert (tmp_path / "realserver/record.json").is_file()
    assert RecordStore(tmp_path).load_record() == RECORD


def test_empty_record_leaves_no_file(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    store.save_record(RECORD)
    store.save_record(Record())
    assert not (tmp_path / "realserver/record.json").exists()


def test_damaged_record_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    store = RecordStore(tmp_path)
    store.save_record(RECORD)
    (tmp_path / "realserver/record.json").write_text("{")
    with pytest.raises(StateError, match="damaged") as caught:
        store.load_record()
    assert "undo" in (caught.value.hint or "")
