"""The garbage collector rests amid imports, and is afterwards as it was, whatever happens."""

import gc
from collections.abc import Iterator

import pytest

from notifhist.imports import without_garbage


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    """Leave the collector as the other tests have it: they have frozen what was collected before them."""
    was_enabled = gc.isenabled()
    yield
    gc.freeze()
    (gc.enable if was_enabled else gc.disable)()


@pytest.mark.parametrize("collects", [True, False])
def test_it_rests_in_the_block_and_is_as_before_afterwards(collects: bool) -> None:
    (gc.enable if collects else gc.disable)()
    seen = []

    def import_what_is_missing() -> None:
        with without_garbage():
            seen.append(gc.isenabled())
            raise ImportError

    with pytest.raises(ImportError):
        import_what_is_missing()
    assert (seen, gc.isenabled()) == ([False], collects)


def test_what_is_imported_is_old_then_and_what_somebody_froze_stays_so() -> None:
    gc.unfreeze()
    gc.enable()
    with without_garbage():
        made = [[] for _ in range(100)]  # type: ignore[var-annotated]  # of what, is not asked
    assert not gc.get_freeze_count()
    assert not any(each is made for each in gc.get_objects(generation=0))
    gc.freeze()
    frozen = gc.get_freeze_count()
    with without_garbage():
        pass
    assert gc.get_freeze_count() > frozen / 2 > 0  # of what was frozen, some may be gone meanwhile
