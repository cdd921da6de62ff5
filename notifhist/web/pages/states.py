"""What the words for states mean. States are an open vocabulary; this table is the only one in the code."""

from typing import Literal

Kind = Literal["fine", "warning", "bad", "unknown"]
FINE = frozenset({"ok", "up", "resolved", "success", "info"})
"""The states of an alarm that nobody has to look at, in lower case."""
WARNING = frozenset({"warning", "warn", "minor", "degraded"})
UNKNOWN = frozenset({"unknown", ""})
WORST_FIRST: tuple[Kind, ...] = ("bad", "warning", "unknown", "fine")
"""The kinds in the order in which people look at them."""


def state_kind(state: str) -> Kind:
    """Return what kind a state is, whatever its case; a word that no table has is bad."""
    word = state.strip().lower()
    if word in FINE:
        return "fine"
    if word in UNKNOWN:
        return "unknown"
    return "warning" if word in WARNING else "bad"


def rank(state: str) -> int:
    """Return the place of a state's kind in WORST_FIRST: 0 for the worst."""
    return WORST_FIRST.index(state_kind(state))
