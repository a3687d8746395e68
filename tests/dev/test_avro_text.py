from __future__ import annotations

import pytest

from csfle_fast.dev.avro_text import canonical_text, check_avro
from csfle_fast.dev.refusal import Refusal


def test_white_space_goes_and_nothing_else_changes() -> None:
    text = '{ "name": "R", "type": "record", "doc": "gr\u00f6\u00dfe",\n "fields": [] , "x": 1.50}'
    assert canonical_text(text) == '{"name":"R","type":"record","doc":"gr\u00f6\u00dfe","fields":[],"x":1.5}'


def test_normalize_puts_attributes_in_order_and_leaves_defaults_alone() -> None:
    tidy = (
        '{"type":"record","name":"R","fields":[{"type":{"type":"enum","name":"E","symbols":["B","A"]},'
        '"name":"f","default":{"b":1,"a":2}}]}'
    )
    turned = (
        '{"fields":[{"default":{"b":1,"a":2},"name":"f","type":{"symbols":["B","A"],"name":"E",'
        '"type":"enum"}}],"name":"R","type":"record"}'
    )
    assert canonical_text(turned) == turned
    assert canonical_text(turned, normalize=True) == canonical_text(tidy, normalize=True) == tidy


@pytest.mark.parametrize("text", ["", "{", "string", '{"a":NaN}', "[" * 100_000])
def test_what_is_not_json_is_refused(text: str) -> None:
    with pytest.raises(Refusal) as refused:
        canonical_text(text)
    assert (refused.value.status, refused.value.error_code) == (422, 42201)


def test_a_reference_is_needed_to_know_a_name() -> None:
    inner = '{"type":"record","name":"I","namespace":"x","fields":[]}'
    outer = '{"type":"record","name":"O","namespace":"x","fields":[{"name":"i","type":"x.I"}]}'
    check_avro(outer, [inner])
    with pytest.raises(Refusal) as refused:
        check_avro(outer, [])
    assert (refused.value.status, refused.value.error_code) == (422, 42201)
