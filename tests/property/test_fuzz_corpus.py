"""What fuzzing collected and once found is read as it was then: by the parsers alone, without the fuzzer."""

import time
from pathlib import Path

import pytest

from fuzz.harnesses import HARNESSES

CORPUS = Path(__file__).parents[2] / "fuzz" / "corpus"
INPUTS = {f"{path.parent.name}/{path.name}": path for path in sorted(CORPUS.glob("*/*"))}


@pytest.mark.parametrize("path", INPUTS.values(), ids=INPUTS.keys())
def test_a_parser_refuses_what_it_does_not_read_and_takes_no_longer_than_its_length(path: Path) -> None:
    data, harness = path.read_bytes(), HARNESSES[path.parent.name]
    started = time.process_time()
    harness(data)
    # 1 ms a kilobyte is what is wanted of a parser; a harness asks several, and other processes slow it down.
    assert time.process_time() - started < 0.1 + 0.01 * len(data) / 1000


def test_each_parser_has_inputs() -> None:
    assert {path.parent.name for path in INPUTS.values()} == HARNESSES.keys()
