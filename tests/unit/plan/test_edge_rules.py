"""The constant rules: each is known by its expression, and names its own set."""

import json

from kernelbal.plan.edge_rules import BY_EXPRESSION, FAMILIES, INBOUND, LOOKUPS, OUTBOUND


def test_every_rule_is_recognized() -> None:
    assert len(BY_EXPRESSION) == 2 * 8 + 2
    for expression, rule in BY_EXPRESSION.items():
        assert rule.expression == expression
        assert isinstance(json.loads(expression), list)


def test_a_rule_looks_into_its_own_set() -> None:
    for family in FAMILIES:
        for name, lookup in LOOKUPS[family].items():
            assert lookup.name == f"{name}{family.suffix}"
            assert f'"@{lookup.name}"' in lookup.rule.expression
            assert f"@{lookup.name}" in lookup.rule.text


def test_every_set_has_its_place_in_a_chain() -> None:
    placed = {*INBOUND, *OUTBOUND, "hairpin"}
    assert all(placed == LOOKUPS[family].keys() for family in FAMILIES)
