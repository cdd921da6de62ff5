"""The geometry of the charts, as pure functions; the templates draw it as SVG. Lengths: per cent of the drawing."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from notifhist.schemas.deliveries import FAILED, IN_PROGRESS, NOT_SENT, SENT, UNKNOWN

FROM_THE_GROUND = (FAILED, NOT_SENT, IN_PROGRESS, UNKNOWN, SENT)
"""The order in which outcomes are stacked: what is at the bottom is compared most easily. The worst comes first."""
MIN_SEGMENT = 3.0
"""The height of a count at least: one failure among a million must be seen."""
MIN_MARK_DISTANCE = 1.6
"""Marks nearer than this are one mark: one has 14 of about 900 pixels."""
WHOLE = 100.0


class Segment(NamedTuple):
    """The part of a bar that stands for one outcome."""

    outcome: str
    deliveries: int
    y: float
    height: float


@dataclass(frozen=True)
class Bar:
    """The deliveries of a span of time, ms since the epoch, both ends inclusive."""

    from_ms: int
    to_ms: int
    segments: tuple[Segment, ...]

    @property
    def counts(self) -> dict[str, int]:
        """The number of deliveries by outcome."""
        return {each.outcome: each.deliveries for each in self.segments}

    @property
    def total(self) -> int:
        """The number of deliveries."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class Volume:
    """A chart of deliveries by time, stacked by outcome."""

    bars: tuple[Bar, ...]
    peak: int
    """The greatest number of deliveries of a bar, which has the full height."""
    totals: Mapping[str, int]
    """The number of deliveries by outcome, the worst outcome first; outcomes without any are left out."""

    @property
    def paths(self) -> dict[str, str]:
        """The segments of each outcome as one path of SVG: upright lines, as thick as a bar is wide.

        The n-th bar is at n, and 1 wide; the drawing is 100 high, in whole numbers. A shape of its own had 80 bytes.
        """
        paths = dict.fromkeys(self.totals, "")
        for n, bar in enumerate(self.bars):
            for each in bar.segments:
                top, bottom = round(each.y), round(each.y + each.height)
                paths[each.outcome] += f"M{n} {top}v{bottom - top}"
        return paths


class Band(NamedTuple):
    """A time in which a check was in one state; `state` is None where no notification tells. Times in ms."""

    state: str | None
    from_ms: int
    to_ms: int
    x: float
    width: float


class Mark(NamedTuple):
    """Notifications so near each other that they are drawn as one: their worst outcome, and the first of them."""

    outcome: str
    x: float
    deliveries: int
    items: int
    from_ms: int
    to_ms: int
    item_id: str


@dataclass(frozen=True)
class Lane:
    """The timeline of one check."""

    check_id: str
    bands: tuple[Band, ...]
    marks: tuple[Mark, ...]


def volume(buckets: Sequence[Mapping[str, Any]]) -> Volume:
    """Return the chart of buckets as the API counts them: `from`, `to` (ms, inclusive) and `counts` by outcome."""
    peak = max((sum(bucket["counts"].values()) for bucket in buckets), default=0)
    bars = tuple(Bar(bucket["from"], bucket["to"], _stacked(bucket["counts"], peak)) for bucket in buckets)
    totals = {each: sum(bucket["counts"].get(each, 0) for bucket in buckets) for each in FROM_THE_GROUND}
    return Volume(bars, peak, {each: count for each, count in totals.items() if count})


def _stacked(counts: Mapping[str, int], peak: int) -> tuple[Segment, ...]:
    """Return the segments of a bar from the ground up; none is lower than MIN_SEGMENT."""
    there = [each for each in FROM_THE_GROUND if counts.get(each)]
    heights = {each: max(WHOLE * counts[each] / peak, MIN_SEGMENT) for each in there}
    if (excess := sum(heights.values()) - WHOLE) > 0:
        heights[max(there, key=lambda each: heights[each])] -= excess
    segments, top = [], WHOLE
    for each in there:
        top -= heights[each]
        segments.append(Segment(each, counts[each], max(top, 0.0), heights[each]))
    return tuple(segments)


def timeline(
    deliveries: Iterable[Mapping[str, Any]], from_ms: int, to_ms: int, states: Mapping[str, str] | None = None
) -> tuple[Lane, ...]:
    """Return a lane for each check, by id, of deliveries between two times (ms, inclusive), in any order.

    `states`: the newest state of every check; a check without deliveries in this time was in it all the time.
    """
    of_checks: dict[str, list[Mapping[str, Any]]] = {each: [] for each in states or {}}
    for delivery in deliveries:
        if from_ms <= delivery["timestamp"] <= to_ms:
            of_checks.setdefault(delivery["check_id"], []).append(delivery)
    lanes = []
    for check_id, its in sorted(of_checks.items()):
        its.sort(key=itemgetter("timestamp", "item_id"))
        bands = _bands(its, from_ms, to_ms, (states or {}).get(check_id))
        lanes.append(Lane(check_id, bands, _marks(its, from_ms, to_ms)))
    return tuple(lanes)


def _bands(its: Sequence[Mapping[str, Any]], from_ms: int, to_ms: int, newest: str | None) -> tuple[Band, ...]:
    """Return the states of a check, one after the other, from the beginning to the end."""
    changes = [(from_ms, its[0].get("previous_state") if its else newest)]
    changes += [(each["timestamp"], each["state"]) for each in its]
    begins = [next(some) for _, some in groupby(changes, key=itemgetter(1))]
    ends = [*(begin for begin, _ in begins[1:]), to_ms]
    return tuple(
        Band(state, begin, end, x, _place(end, from_ms, to_ms) - x)
        for (begin, state), end in zip(begins, ends, strict=True)
        for x in [_place(begin, from_ms, to_ms)]
        if end > begin or len(begins) == 1
    )


def _marks(its: Sequence[Mapping[str, Any]], from_ms: int, to_ms: int) -> tuple[Mark, ...]:
    """Return the marks of a check's deliveries, at least MIN_MARK_DISTANCE from each other."""
    groups: list[list[Mapping[str, Any]]] = []
    for each in its:
        x = _place(each["timestamp"], from_ms, to_ms)
        if groups and x - _place(groups[-1][0]["timestamp"], from_ms, to_ms) < MIN_MARK_DISTANCE:
            groups[-1].append(each)
        else:
            groups.append([each])
    return tuple(
        Mark(
            outcome=min((each["outcome"] for each in group), key=FROM_THE_GROUND.index),
            x=_place(group[0]["timestamp"], from_ms, to_ms),
            deliveries=len(group),
            items=len({each["item_id"] for each in group}),
            from_ms=group[0]["timestamp"],
            to_ms=group[-1]["timestamp"],
            item_id=group[0]["item_id"],
        )
        for group in groups
    )


def _place(ms: int, from_ms: int, to_ms: int) -> float:
    return WHOLE * (ms - from_ms) / max(to_ms - from_ms, 1)
