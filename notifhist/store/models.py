"""The tables, except counts (`store.counted.table`). Models are bound to no database: use `db.execute(query)`."""

from peewee import BigIntegerField, CompositeKey, IntegerField, Model, SmallIntegerField, TextField


class TenantRow(Model):
    """A tenant's name and number. All its rows have keys that begin with the number, `tenant_id` in SQL."""

    id = BigIntegerField(primary_key=True)
    name = TextField(unique=True)

    class Meta:
        table_name = "tenant"


class SeriesRow(Model):
    """A check of an alarm of an entity of a tenant: the owner of a series of items."""

    tenant_id = BigIntegerField()
    id = BigIntegerField()
    """The tenant's number times 2^32, plus the number of the series among the tenant's."""
    entity_id = TextField()
    alarm_id = TextField()
    check_id = TextField()
    alarm_digest = TextField()
    """Stands for entity and alarm in the unique index: together they may be longer than PostgreSQL indexes."""

    class Meta:
        table_name = "series"
        primary_key = CompositeKey("tenant_id", "id")


class HistoryItemRow(Model):
    """An item of a series, under the two halves of its `ItemKey`; `store.history.items` makes its other columns.

    The document is text, not the database's own JSON type: PostgreSQL's loses the recorded order of members.
    """

    series_id = BigIntegerField()
    ticks = BigIntegerField()
    clock_and_node = BigIntegerField()
    document = TextField()
    xml = TextField(null=True)
    """The document as XML, rendered when the item was recorded; None: to be rendered when it is read."""
    xml_version = IntegerField()
    """The version of the mapping by which it was rendered; see `serializers.as_xml`."""

    class Meta:
        table_name = "history_item"
        primary_key = CompositeKey("series_id", "ticks", "clock_and_node")


class NotificationRunRow(Model):
    """A notification run of a tenant: the columns to filter and sort by, and the document as JSON text.

    On SQLite there is one more column, `number`: the rowid, by which the index of searched texts refers to the run.
    """

    tenant_id = BigIntegerField()
    id = BigIntegerField()
    date_created = BigIntegerField()
    """ms since the epoch, UTC."""
    notification_type = SmallIntegerField()
    status = SmallIntegerField()
    medium = SmallIntegerField()
    ignored_reason = SmallIntegerField(null=True)
    failed_reason = SmallIntegerField(null=True)
    """These five are codes; see `store.counted.table.Filter`."""
    search_text = TextField()
    """The case-folded text that `searchQuery` is looked for in."""
    brief = TextField(null=True)
    """The document without its objects; None if it has none."""
    document = TextField()

    class Meta:
        table_name = "notification_run"
        primary_key = CompositeKey("tenant_id", "id")


class NotificationLogRow(Model):
    """A notification log of a tenant, as NotificationRunRow, with no text that is searched."""

    tenant_id = BigIntegerField()
    id = BigIntegerField()
    date_created = BigIntegerField()
    """ms since the epoch, UTC."""
    type = SmallIntegerField()
    status = SmallIntegerField()
    recipient_type = SmallIntegerField()
    medium = SmallIntegerField()
    ignored_reason = SmallIntegerField(null=True)
    failed_reason = SmallIntegerField(null=True)
    """These six are codes."""
    run_id = BigIntegerField()
    recipient_email = TextField(null=True)
    recipient_entity_id = BigIntegerField(null=True)
    recipient_channel = TextField(null=True)
    """These four are values as `store.counted.table.IndexedFilter` stores them: of a text a digest."""
    brief = TextField(null=True)
    """None: the whole document is brief."""
    document = TextField()

    class Meta:
        table_name = "notification_log"
        primary_key = CompositeKey("tenant_id", "id")


class ApiKeyRow(Model):
    """A key. Times in ms since the epoch, UTC."""

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


class MetaRow(Model):
    """Values about the whole database, by name."""

    name = TextField(primary_key=True)
    value = TextField()

    class Meta:
        table_name = "meta"
