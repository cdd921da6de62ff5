"""What the documents tell operators to type."""

import re

from tests.system.service import ROOT


def blocks(document: str, heading: str) -> list[list[str]]:
    """Return the lines of each indented block below a heading of a document, the indentation removed."""
    text = (ROOT / "docs" / document).read_text()
    section = re.split(rf"^##+ {re.escape(heading)}\n", text, flags=re.MULTILINE)[1]
    section = re.split(r"^##+ ", section, flags=re.MULTILINE)[0]
    found = re.findall(r"(?:^    .*\n)+", section, flags=re.MULTILINE)
    return [[line[4:] for line in block.splitlines()] for block in found]
