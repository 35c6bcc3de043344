from __future__ import annotations

from genops_enricher.export.truncate import MARK, shorten
from otlp import plain_attributes, request, span, spans_of

COST = {"genops.cost.total": 0.5}


def test_only_as_much_is_cut_as_must_be_in_the_order_given() -> None:
    payload = request(span({"a": "x" * 1000, "b": "y" * 1000, **COST}))
    short = shorten(payload, ["b", "a"], len(payload) - 400)

    assert short is not None
    assert len(payload) - 450 < len(short) <= len(payload) - 400
    (after,) = map(plain_attributes, spans_of(short))
    assert after["a"] == "x" * 1000
    assert str(after["b"]) == "y" * str(after["b"]).count("y") + MARK
    assert after["genops.cost.total"] == 0.5


def test_the_next_attribute_is_cut_if_the_first_is_not_enough() -> None:
    payload = request(span({"a": "x" * 1000, "b": "y" * 1000, **COST}))
    short = shorten(payload, ["b", "a"], len(payload) - 1200)

    assert short is not None
    assert len(short) <= len(payload) - 1200
    (after,) = map(plain_attributes, spans_of(short))
    assert after["b"] == MARK
    assert 700 < str(after["a"]).count("x") < 1000


def test_text_is_cut_between_characters() -> None:
    payload = request(span({"a": "é" * 500}))
    for less in range(100, 108):
        short = shorten(payload, ["a"], len(payload) - less)
        assert short is not None
        (after,) = map(plain_attributes, spans_of(short))
        assert set(str(after["a"]).removesuffix(MARK)) == {"é"}


def test_a_value_that_is_no_text_becomes_the_mark() -> None:
    payload = request(span({"a": ["x" * 500, "y" * 500]}))
    short = shorten(payload, ["a"], 500)

    assert short is not None
    assert [plain_attributes(s)["a"] for s in spans_of(short)] == [MARK]


def test_attributes_of_events_are_shortened_too() -> None:
    message = span({})
    event = message.events.add(name="gen_ai.content.prompt")
    event.attributes.add(key="a").value.string_value = "x" * 1000
    short = shorten(request(message), ["a"], 300)

    assert short is not None
    assert len(short) <= 300


def test_nothing_is_touched_that_is_not_named_or_small() -> None:
    assert shorten(request(span({"a": "x" * 1000})), ["b"], 10) is None
    assert shorten(request(span({"a": "short"})), ["a"], 10) is None
    assert shorten(b"no protobuf", ["a"], 1) is None
