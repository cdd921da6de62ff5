"""The codes of names: the values of filters whose vocabulary is open. A tenant's names of a filter are numbered.

A name keeps its code for ever, so codes and names that were read are remembered with the connection. Who restores a
dump below a running service has to start it again.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence

import orjson

from notifhist.errors import AnswerTooLong
from notifhist.serializers.stored import MAX_PAGE_BYTES
from notifhist.store.counted.table import Filter
from notifhist.store.database import Database
from notifhist.store.database.sql import first, remember, rows_of_each

_PARAM = {"column_name": "text", "digest": "text"}
# CROSS JOIN: otherwise SQLite compares every name of the tenant with every name that is asked for.
_FIND = """SELECT name.column_name, name.digest, name.code FROM {param} CROSS JOIN delivery_name AS name
WHERE name.tenant_id = :tenant_id AND name.column_name = param.column_name AND name.digest = param.digest"""
_LAST = """SELECT code FROM delivery_name WHERE tenant_id = :tenant_id AND column_name = :column_name
ORDER BY code DESC LIMIT 1"""
_INSERT = """INSERT INTO delivery_name (tenant_id, column_name, digest, code, name)
VALUES (:tenant_id, :column_name, :digest, :code, :name)"""
_CODE = {"wanted": "bigint"}
_NAMES = """SELECT name.code, name.name FROM {param} CROSS JOIN delivery_name AS name
WHERE name.tenant_id = :tenant_id AND name.column_name = :column_name AND name.code = param.wanted"""
_LENGTH = """SELECT sum(length(name.name)) FROM {param} CROSS JOIN delivery_name AS name
WHERE name.tenant_id = :tenant_id AND name.column_name = :column_name AND name.code = param.wanted"""
_NAMES_AT_ONCE, _SHORT_CHARACTERS = 2000, 500
"""Up to so many short names are read without a look at their length, which takes as long."""
_SHORT_NAMES = _NAMES.replace("name.name", f"CASE WHEN length(name.name) <= {_SHORT_CHARACTERS} THEN name.name END")
_REMEMBERED, _REMEMBERED_CHARACTERS = 50_000, 500
"""So many names are remembered, and only short ones: a name may have 10 MB."""
_BY_CODE, _MOST_BY_CODE = "names by code", 10_000
"""So many names are remembered by their codes, too: of a thousand receivers, to read them took two of seven ms."""


Name = tuple[str, str]
"""A filter's column and a value of the filter."""


def find_codes(db: Database, tenant_id: int, names: Iterable[Name]) -> dict[Name, int]:
    """Return the codes of those names that have one, and remember them. Not in a transaction that writes."""
    remembered: dict[tuple[int, Name], int] = db.remembered
    codes = {}
    missing = []
    for name in dict.fromkeys(names):
        if (code := remembered.get((tenant_id, name))) is not None:
            codes[name] = code
        else:
            missing.append(name)
    if missing:
        found = _find(db, tenant_id, missing)
        codes |= found
        short = {(tenant_id, name): code for name, code in found.items() if len(name[1]) <= _REMEMBERED_CHARACTERS}
        remember(remembered, short, _REMEMBERED)
    return codes


def ensure_codes(db: Database, tenant_id: int, names: Iterable[Name]) -> dict[Name, int]:
    """Return the codes of all names; in a transaction that writes, in which new ones get the next codes.

    If any of them is not remembered, the tenant's name is locked. New codes are not remembered: the transaction may be
    undone.
    """
    remembered: Mapping[tuple[int, Name], int] = db.remembered
    wanted = dict.fromkeys(names)
    codes = {name: code for name in wanted if (code := remembered.get((tenant_id, name))) is not None}
    if len(codes) == len(wanted):
        return codes
    codes |= _find(db, tenant_id, [name for name in wanted if name not in codes])
    last: dict[str, int] = {}
    new = []
    for name in wanted:
        if name not in codes:
            column, value = name
            if column not in last:
                newest = first(db, _LAST, tenant_id=tenant_id, column_name=column)
                last[column] = newest[0] if newest else 0
            codes[name] = last[column] = last[column] + 1
            text = orjson.dumps(value).decode()  # PostgreSQL stores no U+0000 as it is
            new.append({"tenant_id": tenant_id, "column_name": column, "digest": _digest(value)})
            new[-1] |= {"code": codes[name], "name": text}
    db.execute_many(_INSERT, new)
    return codes


def names_of(db: Database, tenant_id: int, of: Filter, codes: Iterable[int]) -> dict[int, str]:
    """Return names by their codes, and remember short ones. Not in a transaction that writes. Raises AnswerTooLong."""
    wanted = sorted(codes)
    if of.values:
        return {code: of.values[code - 1] for code in wanted}
    remembered: dict[tuple[int, str], dict[int, str]] = db.remembered.setdefault(_BY_CODE, {})
    known = remembered.get((tenant_id, of.column), {})
    missing = [code for code in wanted if code not in known]
    names = {code: known[code] for code in wanted if code in known}
    if missing:
        read, are_short = _read_names(db, tenant_id, of, missing)
        names |= read
        if are_short:
            if sum(map(len, remembered.values())) + len(read) > _MOST_BY_CODE:
                remembered.clear()
            remembered.setdefault((tenant_id, of.column), {}).update(read)
    return names


def _read_names(db: Database, tenant_id: int, of: Filter, wanted: Sequence[int]) -> tuple[dict[int, str], bool]:
    """Return names by their codes, and whether all of them are short. Raises AnswerTooLong."""
    keys, about = [(code,) for code in wanted], {"tenant_id": tenant_id, "column_name": of.column}
    if len(wanted) <= _NAMES_AT_ONCE:
        short = rows_of_each(db, _SHORT_NAMES, _CODE, keys, **about)
        if all(name is not None for _, name in short):
            return {code: orjson.loads(name) for code, name in short}, True
    if (rows_of_each(db, _LENGTH, _CODE, keys, **about)[0][0] or 0) > MAX_PAGE_BYTES:
        raise AnswerTooLong(MAX_PAGE_BYTES)
    return {code: orjson.loads(name) for code, name in rows_of_each(db, _NAMES, _CODE, keys, **about)}, False


def _find(db: Database, tenant_id: int, names: Iterable[Name]) -> dict[Name, int]:
    by_digest = {(column, _digest(value)): (column, value) for column, value in names}
    found = rows_of_each(db, _FIND, _PARAM, list(by_digest), tenant_id=tenant_id)
    return {by_digest[column, digest]: code for column, digest, code in found}


def _digest(name: str) -> str:
    """Return what stands for a name in the unique index: names may be longer than PostgreSQL indexes."""
    return hashlib.sha256(name.encode()).hexdigest()[:32]
