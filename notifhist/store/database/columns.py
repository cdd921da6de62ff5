"""The tables that are written to in SQL of our own, and what a search must have to be found by an index."""

ITEM_COLUMNS = {
    "series_id": "bigint",
    "ticks": "bigint",
    "rest": "bigint",
    "document": "text",
    "xml": "text",
    "xml_version": "integer",
}
"""The columns of `history_item` with their types."""
RUNS_OF_PARTS = tuple(f"runs{n}" for n in range(16))
COUNT_COLUMNS = {
    "tenant_id": "bigint",
    "shift": "integer",
    "bucket": "bigint",
    "one": "bigint",
    "other": "bigint",
    **dict.fromkeys(RUNS_OF_PARTS, "bigint"),
}
"""The columns of `run_count` with their types, but for `divided`, which begins as 0."""
INSERT_ITEMS = f"INSERT INTO history_item ({', '.join(ITEM_COLUMNS)})"
UNLESS_THERE = "ON CONFLICT (series_id, ticks, rest) DO NOTHING"
INSERT_COUNTS = f"INSERT INTO run_count ({', '.join(COUNT_COLUMNS)})"
OR_ADD = "ON CONFLICT (tenant_id, shift, bucket, one, other) DO UPDATE SET " + ", ".join(
    f"{runs} = run_count.{runs} + excluded.{runs}" for runs in RUNS_OF_PARTS
)
TRIGRAM = 3
"""Characters that a searched text must have to be found by an index."""
