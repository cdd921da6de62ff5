"""What items that are recorded together may take of memory, beside their JSON texts."""

from collections.abc import Sequence

from notifhist.errors import BadRequest
from notifhist.store.deliveries.derive import MAX_CHARACTERS, Delivery, characters_of

_XML_CHARACTERS = 64 * 1024 * 1024
"""How many characters of XML are rendered in all."""


class Room:
    """What is left for items that are recorded together."""

    def __init__(self) -> None:
        self.characters = _XML_CHARACTERS
        """How many characters of XML are still rendered; once they are used up, others are stored without."""
        self._delivery_characters = MAX_CHARACTERS

    def take(self, deliveries: Sequence[Delivery]) -> None:
        """Take what deliveries need. Raises BadRequest if they, and those before, are too long together."""
        self._delivery_characters -= sum(map(characters_of, deliveries))
        if self._delivery_characters < 0:
            raise BadRequest(
                "The body does not fit.",
                f"The deliveries of its items may have {MAX_CHARACTERS} characters together; each repeats the status.",
            )
