"""The schemas of the topics: what is published fits them, whole, and nothing else does."""

from __future__ import annotations

from dataclasses import fields

import pytest

from bq_monitor.alerts.messages import Item, Message
from bq_monitor.alerts.senders.text import data_within, encode
from tests.alerts.samples import HOSTILE, LONG, make_message
from tests.alerts.topic_schemas import conforms, message_class


def names(fields_of: object) -> list[str]:
    return [field.name for field in fields_of]  # type: ignore[attr-defined]


def test_each_field_of_a_message_has_its_place() -> None:
    """A field that is added to a message is missing in its topic's schema until it is added there, and the topic would refuse it."""
    described = message_class("alert").DESCRIPTOR
    assert names(described.fields) == [*names(fields(Message)), "n_items_left_out"]
    assert names(described.nested_types_by_name["Item"].fields) == names(fields(Item))


@pytest.mark.parametrize("text", [None, "", HOSTILE, LONG, "\ud800"])
def test_what_is_published_fits(text: str | None) -> None:
    """Whatever texts a message holds, with fields that are NULL, and with items left out."""
    message = make_message(3, text, owner=None, group=None)
    assert conforms("alert", data_within("here", message, 7_000_000))
    assert not conforms("action", data_within("here", message, 7_000_000))
    assert conforms("alert", data_within("here", make_message(30, "x" * 100), 20_000))


@pytest.mark.parametrize("change", [{"colour": "red"}, {"items": {}}, {"n_items_left_out": "many"}])
def test_anything_else_is_refused(change: dict[str, object]) -> None:
    """A field that is not known, and a value of another type."""
    assert not conforms("alert", encode({**make_message().to_dict(), **change}))
