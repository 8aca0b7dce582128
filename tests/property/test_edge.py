"""Whatever the edge of a site: its table and its policy routes come back as they were written."""

from hypothesis import given, settings

from kernelbal.kernel.nft_json import parse_table, replacement
from kernelbal.kernel.policy_routing import pack_route, pack_rule, parse_rule, parse_table_route
from kernelbal.model.nft import EMPTY_TABLE
from kernelbal.plan.kind import DesiredState
from kernelbal.plan.kinds.routing import ROUTING
from kernelbal.plan.kinds.tables import TABLES
from kernelbal.store.records import SNAPSHOT, Snapshot
from tests.property.strategies import DESIRED

OFTEN = settings(deadline=None, max_examples=80)


@OFTEN
@given(DESIRED)
def test_table_is_the_one_that_was_planned(desired: DesiredState) -> None:
    added = [
        command["add"]
        for command in replacement(desired.of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE))
        if "add" in command
    ]
    assert parse_table(added) == desired.of(TABLES).get(EMPTY_TABLE.title, EMPTY_TABLE)


@OFTEN
@given(DESIRED)
def test_snapshot_holds_everything(desired: DesiredState) -> None:
    assert SNAPSHOT.decode(SNAPSHOT.encode(Snapshot(desired, 1.0, "5f1b"))).state == desired


@OFTEN
@given(DESIRED)
def test_policy_routes_read_as_they_were_packed(desired: DesiredState) -> None:
    assert {parse_rule(pack_rule(rule)) for rule in desired.of(ROUTING).rules} == desired.of(ROUTING).rules
    devices = {2: "eth0", 3: "eth1", 4: "eth2"}
    indices = {name: index for index, name in devices.items()}
    found = [
        parse_table_route(pack_route(key, hop, indices[hop.device]), devices)
        for key, hop in desired.of(ROUTING).routes.items()
    ]
    assert {key: hop for one in found for key, hop in one.items()} == desired.of(ROUTING).routes
