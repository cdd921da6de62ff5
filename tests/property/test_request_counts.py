"""The counts behind the rate limits against a plain dictionary, by a clock that is set at will."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from notifhist.store import window_slots
from notifhist.store.request_counts import MachineCounter
from tests.unit.conftest import SettableClock

NAMES = [f"name {number}" for number in range(12)]
LENGTHS = {name: 2 + number % 3 for number, name in enumerate(NAMES)}
"""How long the window of a name is, in seconds; it is a part of the name elsewhere."""
SLOTS = 3
STEPS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from([0, 1, 700, 1000, 2000, 4000])), max_size=80)
JUMPS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(-3000, 3000)), max_size=80)


@pytest.fixture(autouse=True)
def few_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_slots, "BUCKET_BYTES", (SLOTS + 1) * window_slots.SLOT.size)


def hit_if_room(counter: MachineCounter, name: str) -> tuple[int, float] | None:
    """Count a request; return None if there is no slot."""
    try:
        return counter.hit(name, LENGTHS[name])
    except OSError as error:
        if "no slot is free" not in str(error):
            raise
        return None


@given(buckets=st.integers(1, 3), chain=st.integers(1, 3), steps=STEPS)
@example(buckets=1, chain=1, steps=[(name, 0) for name in NAMES])
def test_a_clock_that_goes_on(
    buckets: int, chain: int, steps: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(window_slots, "BUCKETS", buckets)
    monkeypatch.setattr(window_slots, "CHAIN", chain)
    clock, model = SettableClock(), dict[str, tuple[int, int]]()
    with TemporaryDirectory() as directory:
        counter = MachineCounter(Path(directory), clock)
        for name, passed_ms in steps:
            clock.at_ms += passed_ms
            model = {each: window for each, window in model.items() if window[1] > clock.at_ms}
            found = hit_if_room(counter, name)
            if found is None:
                assert name not in model
                assert len(model) >= SLOTS * min(buckets, chain)
                continue
            used, ends_ms = model.get(name, (0, clock.at_ms + LENGTHS[name] * 1000))
            model[name] = used + 1, ends_ms
            assert found == (used + 1, ends_ms / 1000)
        assert len(model) <= SLOTS * buckets


@given(steps=JUMPS)
def test_a_clock_that_is_set_back_and_forth(steps: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """A window that is over may be forgotten; if the clock is set back into it, it may also be known still."""
    monkeypatch.setattr(window_slots, "BUCKETS", 5)
    clock, model, over = SettableClock(), dict[str, tuple[int, int]](), set[str]()
    with TemporaryDirectory() as directory:
        counter = MachineCounter(Path(directory), clock)
        for name, passed_ms in steps:
            clock.at_ms += passed_ms
            over |= {each for each, (_, ends_ms) in model.items() if ends_ms <= clock.at_ms}
            anew = clock.at_ms + LENGTHS[name] * 1000
            used, ends_ms = model.get(name, (0, anew))
            expected = [(used + 1, ends_ms)] if clock.at_ms < ends_ms <= anew else [(1, anew)]
            if name in over:
                expected.append((1, anew))
            count, ends_s = counter.hit(name, LENGTHS[name])
            model[name] = count, round(ends_s * 1000)
            assert model[name] in expected
            over.discard(name)
