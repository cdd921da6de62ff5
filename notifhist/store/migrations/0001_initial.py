from peewee import BigAutoField, BigIntegerField, CompositeKey, Database, IntegerField, Model, TextField
from playhouse.migrate import SchemaMigrator


class Series(Model):
    id = BigAutoField()
    tenant = TextField()
    entity_id = TextField()
    alarm_id = TextField()
    check_id = TextField()
    alarm_digest = TextField()

    class Meta:
        table_name = "series"
        indexes = ((("alarm_digest", "check_id"), True),)


class HistoryItem(Model):
    series_id = BigIntegerField()
    ticks = BigIntegerField()
    rest = BigIntegerField()
    document = TextField()

    class Meta:
        table_name = "history_item"
        primary_key = CompositeKey("series_id", "ticks", "rest")
        indexes = ((("ticks",), False),)


class NotificationRun(Model):
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
    notification_type = TextField()
    original_run_id = BigIntegerField(null=True)
    seq_no = IntegerField()
    status = TextField()
    summary = TextField(null=True)
    search_text = TextField()

    class Meta:
        table_name = "notification_run"
        primary_key = CompositeKey("tenant", "id")
        indexes = (
            (("tenant", "date_created", "id"), False),
            (("tenant", "status", "date_created", "id"), False),
        )


class ApiKey(Model):
    id = TextField(primary_key=True)
    name = TextField()
    tenant = TextField()
    roles = TextField()
    secret_hash = TextField()
    created = BigIntegerField()
    expires = BigIntegerField(null=True)
    revoked = BigIntegerField(null=True)

    class Meta:
        table_name = "api_key"


def up(migrator: SchemaMigrator, db: Database) -> None:
    for model in (Series, HistoryItem, NotificationRun, ApiKey):
        with db.bind_ctx([model]):
            db.create_tables([model])
