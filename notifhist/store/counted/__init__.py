"""Tables of a tenant's records that are filtered, searched, counted exactly and paged by number, at any size.

A table is described once (`table.CountedTable`); recording, counting and paging go by the description.
"""
