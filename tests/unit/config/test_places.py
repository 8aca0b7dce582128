"""Where keys and values stand."""

import pytest

from kernelbal.config.places import START, Mark, TextPlace, find_places, nearest_place
from kernelbal.config.violation import Path

TEXT = b"""\
networks: {outside: {}}
virtual_services:
  - name: web
    ports: [80,
      443]
  -
    name: dns
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        ((), (1, 1), (1, 1)),
        (("networks",), (1, 1), (1, 11)),
        (("networks", "outside"), (1, 12), (1, 21)),
        (("virtual_services",), (2, 1), (3, 3)),
        (("virtual_services", 0), (3, 5), (3, 5)),
        (("virtual_services", 0, "ports", 1), (5, 7), (5, 7)),
        (("virtual_services", 1, "name"), (7, 5), (7, 11)),
    ],
)
def test_place_of_key_and_value(path: Path, key: tuple[int, int], value: tuple[int, int]) -> None:
    assert find_places(TEXT, [path])[path] == TextPlace(Mark(*key), Mark(*value))


def test_only_what_exists_is_found() -> None:
    assert find_places(TEXT, [("networks", "inside"), ("virtual_services", 7)]).keys() == {
        (),
        ("networks",),
        ("virtual_services",),
    }


def test_nearest_place_is_that_of_the_setting_around() -> None:
    path: Path = ("virtual_services", 0, "tunnel", "port")
    places = find_places(TEXT, [path])
    assert nearest_place(places, path).key == Mark(3, 5)
    assert nearest_place({}, path) == START


def test_first_of_two_equal_keys_counts() -> None:
    assert find_places(b"a: 1\nb: 2\na: 3\n", [("a",)])[("a",)].key == Mark(1, 1)


def test_column_counts_characters() -> None:
    assert find_places("{ä: ö, a: 1}".encode(), [("a",)])[("a",)].key == Mark(1, 8)


def test_empty_text_has_no_places() -> None:
    assert find_places(b"", [("a",)]) == {}
