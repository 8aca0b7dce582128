"""What kinds have in common: objects that are matched by key, and whose they are."""

from typing import ClassVar, NamedTuple

from kernelbal.plan.action import Action, ActionRow, Effect, Names, Phase, Rows
from kernelbal.plan.kind import DesiredState, KeyedKind, Note, ObservedState, Ownership, Planning

State = dict[str, int]


class Open(NamedTuple):
    key: str
    attributes: int

    def text(self, names: Names) -> str:
        return self.key


class Change(NamedTuple):
    key: str
    old: int
    attributes: int

    def text(self, names: Names) -> str:
        return self.key


class Close(NamedTuple):
    key: str

    def text(self, names: Names) -> str:
        return self.key


class Doors(KeyedKind[str, int]):
    title = "door"
    rows: ClassVar[Rows] = {
        Open: ActionRow(Effect.ADD, Phase.LISTENERS, "open"),
        Change: ActionRow(Effect.CHANGE, Phase.LISTENERS, "change"),
        Close: ActionRow(Effect.REMOVE, Phase.RELEASE_LISTENERS, "close"),
    }

    def adding(self, key: str, attributes: int) -> Action:
        return Open(key, attributes)

    def changing(self, key: str, old: int, attributes: int) -> Action:
        return Change(key, old, attributes)

    def removing(self, key: str, attributes: int) -> Action:
        return Close(key)


DOORS = Doors("doors", State, str)


def planned(desired: State, observed: State, *owned: str) -> Planning:
    planning = Planning(
        DesiredState().having(DOORS, desired),
        ObservedState().having(DOORS, observed),
        Ownership().having(DOORS, frozenset(owned)),
    )
    DOORS.diff(planning)
    return planning


def claimed(planning: Planning) -> frozenset[str]:
    return DOORS.claim(planning.ownership.of(DOORS), list(planning.put_so_far(DOORS)), planning)


def test_what_is_missing_is_added_and_claimed() -> None:
    planning = planned({"a": 1}, {})
    assert list(planning.put_so_far(DOORS)) == [Open("a", 1)]
    assert claimed(planning) == {"a"}


def test_what_is_ours_is_changed_and_removed() -> None:
    planning = planned({"a": 2}, {"a": 1, "b": 1}, "a", "b")
    assert list(planning.put_so_far(DOORS)) == [Change("a", 1, 2), Close("b")]
    assert claimed(planning) == {"a", "b"}
    assert DOORS.settle(claimed(planning), [Change("a", 1, 2), Close("b")], {"a": 2}) == {"a"}


def test_what_is_as_desired_stays_whosever_it_is() -> None:
    for owned in ((), ("a",)):
        planning = planned({"a": 1}, {"a": 1}, *owned)
        assert list(planning.put_so_far(DOORS)) == []
        assert claimed(planning) == set(owned)


def test_foreign_object_in_the_way_is_neither_changed_nor_claimed() -> None:
    """The kernel refuses the addition; the round after it must not take the other's for ours."""
    planning = planned({"a": 2}, {"a": 1})
    assert list(planning.put_so_far(DOORS)) == [Open("a", 2)]
    assert planning.noted(Note.FOREIGN, DOORS) == ("a",)
    assert claimed(planning) == set()


def test_foreign_object_is_noted_and_left_alone() -> None:
    planning = planned({}, {"a": 1})
    assert list(planning.put_so_far(DOORS)) == []
    assert planning.noted(Note.FOREIGN, DOORS) == ("a",)


def test_what_someone_else_made_first_is_no_longer_claimed() -> None:
    planning = planned({"a": 1, "b": 1}, {})
    assert DOORS.withdraw(claimed(planning), [Open("a", 1)]) == {"b"}


def test_what_vanished_is_no_longer_ours() -> None:
    assert claimed(planned({}, {}, "a")) == set()
