"""A document that is kept as text, so that it need not be read and written again on its way to the wire."""


class Kept:
    """A document as JSON text, or as the XML of its element; whichever of the two is asked for is there.

    If XML is asked for and there is none, it is rendered from the JSON.
    """

    __slots__ = ("json", "xml")

    def __init__(self, json: str | None, xml: str | None = None) -> None:
        self.json = json
        self.xml = xml
