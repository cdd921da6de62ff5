"""The tables. Bound to no database: each query is executed on the one that it is given."""

from peewee import (
    BigIntegerField,
    CompositeKey,
    IntegerField,
    Model,
    SmallIntegerField,
    TextField,
)


class TenantRow(Model):
    """A tenant and its number, which leads the keys of all that is its own."""

    id = BigIntegerField(primary_key=True)
    name = TextField(unique=True)

    class Meta:
        table_name = "tenant"


class SeriesRow(Model):
    """A check of an alarm of an entity of a tenant: the owner of a series of items."""

    id = BigIntegerField(primary_key=True)
    """The tenant's number times 2^32, and the number of the series among the tenant's."""
    tenant_id = BigIntegerField()
    entity_id = TextField()
    alarm_id = TextField()
    check_id = TextField()
    alarm_digest = TextField()
    """Stands for tenant, entity and alarm in the index: together they may be longer than PostgreSQL indexes."""

    class Meta:
        table_name = "series"


class HistoryItemRow(Model):
    """An item of a series, under the two halves of its `item_ids.ItemKey`; the document is JSON text.

    The text, and not the database's own JSON type, since PostgreSQL's would lose the recorded order.
    """

    series_id = BigIntegerField()
    ticks = BigIntegerField()
    rest = BigIntegerField()
    document = TextField()
    xml = TextField(null=True)
    """The same as XML, as it was rendered when the item was recorded; None: yet to be rendered."""
    xml_version = IntegerField()
    """The version of the mapping by which it was rendered; see `representation.as_xml`."""

    class Meta:
        table_name = "history_item"
        primary_key = CompositeKey("series_id", "ticks", "rest")


class NotificationRunRow(Model):
    """A notification run of a tenant: what is filtered and sorted by, and the document as JSON text."""

    number = BigIntegerField(primary_key=True)
    """The tenant's number times 2^40, and the number of the run among the tenant's."""
    tenant_id = BigIntegerField()
    id = BigIntegerField()
    date_created = BigIntegerField()
    """ms since the epoch, UTC."""
    notification_type = SmallIntegerField()
    status = SmallIntegerField()
    medium = SmallIntegerField()
    ignored_reason = SmallIntegerField(null=True)
    failed_reason = SmallIntegerField(null=True)
    """These five as codes; see `run_filters`."""
    search_text = TextField()
    """What `searchQuery` looks through, case-folded."""
    brief = TextField(null=True)
    """The document without its objects; None if it has none."""
    document = TextField()

    class Meta:
        table_name = "notification_run"


class RunCountRow(Model):
    """How many runs of a tenant stand in each part of a bucket and pass none, one or two filters; see `run_counts`."""

    tenant_id = BigIntegerField()
    shift = IntegerField()
    bucket = BigIntegerField()
    one = BigIntegerField()
    other = BigIntegerField()
    runs0, runs1, runs2, runs3, runs4, runs5, runs6, runs7 = (BigIntegerField() for _ in range(8))
    runs8, runs9, runs10, runs11, runs12, runs13, runs14, runs15 = (BigIntegerField() for _ in range(8))
    divided = IntegerField(default=0)
    """Of which parts there are rows of their own, a bit each; told in the row of all runs."""

    class Meta:
        table_name = "run_count"
        primary_key = CompositeKey("tenant_id", "shift", "bucket", "one", "other")


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
