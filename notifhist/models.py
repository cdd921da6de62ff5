"""The tables. Bound to no database: each query is executed on the one that it is given."""

from peewee import BigAutoField, BigIntegerField, CompositeKey, IntegerField, Model, TextField


class SeriesRow(Model):
    """A check of an alarm of an entity of a tenant: the owner of a series of items."""

    id = BigAutoField()
    tenant = TextField()
    entity_id = TextField()
    alarm_id = TextField()
    check_id = TextField()
    alarm_digest = TextField()
    """Stands for tenant, entity and alarm in the index: together they may be longer than PostgreSQL indexes."""

    class Meta:
        table_name = "series"
        indexes = ((("alarm_digest", "check_id"), True),)


class HistoryItemRow(Model):
    """An item of a series, under the two halves of its `paging.Key`; the document is JSON text.

    The text, and not the database's own JSON type, since PostgreSQL's would lose the recorded order.
    """

    series_id = BigIntegerField()
    ticks = BigIntegerField()
    rest = BigIntegerField()
    document = TextField()

    class Meta:
        table_name = "history_item"
        primary_key = CompositeKey("series_id", "ticks", "rest")
        # Expired items of all series are found by time.
        indexes = ((("ticks",), False),)


class NotificationRunRow(Model):
    """A notification run of a tenant; times in ms since the epoch, UTC."""

    tenant = TextField()
    id = BigIntegerField()
    date_created = BigIntegerField()
    date_updated = BigIntegerField()
    delivered_count = BigIntegerField()
    error_message = TextField(null=True)
    failed_reason = TextField(null=True)
    ignored_reason = TextField(null=True)
    medium = TextField()
    notification_objects = TextField(null=True)
    """A list of JSON objects, as text; null where there is none."""
    notification_type = TextField()
    original_run_id = BigIntegerField(null=True)
    seq_no = IntegerField()
    status = TextField()
    summary = TextField(null=True)
    search_text = TextField()
    """What `searchQuery` looks through, case-folded."""

    class Meta:
        table_name = "notification_run"
        primary_key = CompositeKey("tenant", "id")
        indexes = (
            (("tenant", "date_created", "id"), False),
            (("tenant", "status", "date_created", "id"), False),
        )


class ApiKeyRow(Model):
    """A key; of the secret only the hash is kept. Times in ms since the epoch, UTC."""

    id = TextField(primary_key=True)
    name = TextField()
    tenant = TextField()
    roles = TextField()
    """Role names, separated by blanks."""
    secret_hash = TextField()
    created = BigIntegerField()
    expires = BigIntegerField(null=True)
    revoked = BigIntegerField(null=True)

    class Meta:
        table_name = "api_key"
