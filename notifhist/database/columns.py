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
COUNT_COLUMNS = {
    "tenant_id": "bigint",
    "shift": "integer",
    "bucket": "bigint",
    "one": "bigint",
    "other": "bigint",
    "runs": "bigint",
    "is_divided": "boolean",
}
"""The columns of `run_count` with their types."""
INSERT_ITEMS = f"INSERT INTO history_item ({', '.join(ITEM_COLUMNS)})"
UNLESS_THERE = "ON CONFLICT (series_id, ticks, rest) DO NOTHING RETURNING ticks, rest"
INSERT_COUNTS = f"INSERT INTO run_count ({', '.join(COUNT_COLUMNS)})"
OR_ADD = (
    "ON CONFLICT (tenant_id, shift, bucket, one, other) DO UPDATE SET runs = run_count.runs + excluded.runs"
)
TRIGRAM = 3
"""Characters that a searched text must have to be found by an index."""
