"""Send the payloads that a tool appends to a file to a feed of a service, each once, however often anything stops.

The position is kept once the service has taken what stands before it. A process that is killed in between sends the
last payloads again; those that have an id of their own are recorded once all the same.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from notifhist.errors import BadRequest
from notifhist.feeds.feed import Feed
from notifhist.feeds.payloads import read_json
from notifhist.run.sending import Answer
from notifhist.transfer.positions import read_position, write_position
from notifhist.transfer.tail import Place, Tail

POLL_S = 1.0
"""How often a file is looked at that has nothing new."""
_MAX_LIST = 100
_MAX_LIST_BYTES = 128 * 1024
"""At 132 bytes an alert, events of so many bytes are no more than 1,000 items (`feeds.feed.MAX_ITEMS`)."""
_FIRST_WAIT_S, _LONGEST_WAIT_S = 1.0, 30.0
_NEVER_TAKEN = (400, 413)
"""What the service answers to a payload that it will never take. Any other refusal may end: of a key, for example."""


@dataclass
class Follower:
    """Follows a file.

    `put` sends a body. `pause` waits for so many seconds, and says whether to go on. `tell` is told of problems.
    """

    feed: Feed
    path: Path
    position: Path
    put: Callable[[bytes], Answer]
    pause: Callable[[float], bool]
    tell: Callable[[str], None]
    sent: int = field(default=0, init=False)
    _kept: Place | None = field(default=None, init=False)

    def follow(self, *, once: bool = False) -> None:
        """Send what is appended until `pause` says that it is enough; with `once`, what is there now."""
        tail = Tail(self.path, read_position(self.position))
        try:
            while True:
                if (found := tail.read()) is None:
                    self._keep(tail.place())  # it may have gone on to a file without lines
                    if once or not self.pause(POLL_S):
                        return
                    continue
                if found.too_long:
                    self.tell(f"{self.path}: a line is too long and left out")
                for body in self._bodies(found.lines):
                    if not self._send(body):
                        return
                self._keep(found.place)
        finally:
            tail.close()

    def _keep(self, place: Place | None) -> None:
        """Keep a position, if it is another one than before."""
        if place is not None and place != self._kept:
            write_position(self.position, place)
            self._kept = place

    def _bodies(self, lines: list[bytes]) -> Iterator[list[bytes]]:
        """Yield the payloads of lines, as many together as the feed takes; what is no JSON is told and left out."""
        most, size = _MAX_LIST if self.feed.takes_lists else 1, 0
        together: list[bytes] = []
        for line in lines:
            if not _is_json(line):
                self.tell(f"{self.path}: a line is no JSON and left out: {line[:80]!r}")
                continue
            if together and (len(together) == most or size + len(line) > _MAX_LIST_BYTES):
                yield together
                together, size = [], 0
            together.append(line)
            size += len(line)
        if together:
            yield together

    def _send(self, payloads: list[bytes]) -> bool:
        """Send payloads until the service has taken them; say whether to go on.

        If it will never take them together, they are sent one by one, and what it does not take then is told.
        """
        wait_s = _FIRST_WAIT_S
        while True:
            answer = self.put(b"[%b]" % b",".join(payloads) if len(payloads) > 1 else payloads[0])
            if 200 <= answer.status < 300:
                self.sent += len(payloads)
                return True
            if answer.status in _NEVER_TAKEN:
                if len(payloads) > 1:
                    return all(self._send([each]) for each in payloads)
                self.tell(f"{self.path}: the service does not take {payloads[0][:80]!r}: {answer.text}")
                return True
            self.tell(f"The service has not taken it, trying again in {wait_s:.0f} s: {answer.text}")
            if not self.pause(wait_s):
                return False
            wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def _is_json(line: bytes) -> bool:
    try:
        read_json(line)
    except BadRequest:
        return False
    return True
