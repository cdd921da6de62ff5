import uuid

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifhist.schemas.fields import MAX_TIMESTAMP, UUID_EPOCH_TICKS
from notifhist.schemas.item_ids import ItemKey, id_of, key_in_tenant, key_of, new_key
from notifhist.schemas.query import CheckPath

PUBLISHED = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
LAST = "ffffffff-ffff-1fff-bfff-ffffffffffff"
FIRST = "00000000-0000-1000-8000-000000000000"


def time_uuid(time: int, clock_sequence: int, node: int) -> str:
    """Return the version-1 UUID of these parts, put together by the layout of RFC 9562, 5.1."""
    fields = (
        time & 0xFFFFFFFF,
        time >> 32 & 0xFFFF,
        1 << 12 | time >> 48,
        0b10 << 6 | clock_sequence >> 8,
        clock_sequence & 0xFF,
        node,
    )
    return str(uuid.UUID(fields=fields))


time_uuids = st.builds(time_uuid, st.integers(0, 2**60 - 1), st.integers(0, 2**14 - 1), st.integers(0, 2**48 - 1))


@given(time_uuids)
@example(PUBLISHED)
@example(FIRST)
@example(LAST)
def test_key_and_id_are_the_same(item_id: str) -> None:
    assert id_of(key_of(item_id)) == item_id
    assert key_of(item_id.upper()) == key_of(item_id)


@given(st.tuples(st.integers(0, 3), time_uuids), st.tuples(st.integers(0, 3), time_uuids))
@example((0, FIRST), (1, LAST))
def test_keys_are_ordered_by_time_and_then_by_the_text_of_the_id(one: tuple[int, str], other: tuple[int, str]) -> None:
    # Two random times are hardly ever equal: so a few small ones, with the rest of the random ids.
    for ids in ((one[1], other[1]), tuple(f"0000000{n}-0000-1000{rest[18:]}" for n, rest in (one, other))):
        by_text = sorted(ids, key=lambda each: (uuid.UUID(each).time, each))
        assert sorted(ids, key=key_of) == by_text


@given(time_uuids)
@example(FIRST)
@example(LAST)
def test_both_halves_of_a_key_fit_a_column_of_64_bits(item_id: str) -> None:
    assert all(-(2**63) <= half < 2**63 for half in key_of(item_id))


def test_the_published_example_shows_its_timestamp() -> None:
    assert key_of(PUBLISHED).timestamp == 1_320_885_544_875


@pytest.mark.parametrize(
    ("ticks", "timestamp"), [(0, 0), (9_999, 0), (10_000, 1), (19_999, 1), (-1, -1), (-10_000, -1)]
)
def test_a_timestamp_is_floored(ticks: int, timestamp: int) -> None:
    assert ItemKey(ticks, -(2**62)).timestamp == timestamp


@pytest.mark.parametrize(
    "item_id",
    [
        "",
        "x",
        PUBLISHED[:-1],
        PUBLISHED + "0",
        PUBLISHED.replace("-", ""),
        "{" + PUBLISHED + "}",
        "urn:uuid:" + PUBLISHED,
        f" {PUBLISHED}",
        f"{PUBLISHED}\n",
        "646ac7b0-0b34-41e1-a0a1-0ff89fa2fa26",  # version 4
        "646ac7b0-0b34-01e1-a0a1-0ff89fa2fa26",
        "646ac7b0-0b34-11e1-c0a1-0ff89fa2fa26",  # another variant
        "646ac7b0-0b34-11e1-20a1-0ff89fa2fa26",
        "646ac7b0-0b3411e1-a0a1--0ff89fa2fa26",
        "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa2g",
        "٦46ac7b0-0b34-11e1-a0a1-0ff89fa2fa26",
    ],
)
def test_what_is_no_version_1_uuid_of_the_usual_form_is_refused(item_id: str) -> None:
    with pytest.raises(ValueError, match="Not a"):
        key_of(item_id)


@given(st.integers(0, 2**60 - 1 - UUID_EPOCH_TICKS), st.integers(0, 20_000))
@example(MAX_TIMESTAMP * 10_000, 0)
@example(MAX_TIMESTAMP * 10_000, 19_999)
@example(2**60 - 1 - UUID_EPOCH_TICKS, 1)
def test_a_new_key_stays_within_its_millisecond(ticks: int, ordinal: int) -> None:
    key = new_key(ticks, ordinal)
    assert key.ticks >= ticks
    assert key.timestamp == ticks // 10_000
    assert key_of(id_of(key)) == key


def test_the_last_millisecond_is_the_last_that_a_uuid_holds() -> None:
    assert key_of(LAST).timestamp == MAX_TIMESTAMP
    assert key_of(id_of(new_key(MAX_TIMESTAMP * 10_000, 9_999))).timestamp == MAX_TIMESTAMP


def test_keys_made_together_stay_in_order() -> None:
    keys = [new_key(1_320_885_544_875 * 10_000, ordinal) for ordinal in range(9_999)]
    assert keys == sorted(keys)
    assert len({key.ticks for key in keys}) == len(keys)


def test_keys_of_one_tick_differ_and_show_that_they_are_of_no_network_card() -> None:
    ids = {id_of(new_key(0)) for _ in range(1000)}
    assert len(ids) == 1000
    assert all(uuid.UUID(item_id).node >> 40 & 1 for item_id in ids)
    assert all(uuid.UUID(item_id).version == 1 for item_id in ids)


@pytest.mark.parametrize(
    ("check_id", "position", "clock_and_node"),
    [
        ("chOne", (), "8c5f-31a968bcad0e"),
        ("chTwo", (), "ab01-9d10d3e50bbb"),
        ("chOne", ("0",), "ae72-13ccfb648f06"),
        ("chOne", ("1",), "b35b-2bb201a6b4d4"),
    ],
)
def test_an_id_in_the_tenant_is_as_published(check_id: str, position: tuple[str, ...], clock_and_node: str) -> None:
    item_id = "646ac7b0-0b34-11e1-a0a1-0ff89fa2fa26"
    key = key_in_tenant(CheckPath("123456", "enOne", "alOne", check_id), item_id, *position)
    assert id_of(key) == f"646ac7b0-0b34-11e1-{clock_and_node}"
    assert key.timestamp == 1320885544875
