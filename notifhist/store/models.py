"""The tables that peewee's queries ask; named SQL text asks the others. Models are bound to no database.

Use `db.execute(query)`.
"""

from peewee import BigIntegerField, Model, TextField


class TenantRow(Model):
    """A tenant's name and number. All its rows have keys that begin with the number, `tenant_id` in SQL."""

    id = BigIntegerField(primary_key=True)
    name = TextField(unique=True)

    class Meta:
        table_name = "tenant"


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
