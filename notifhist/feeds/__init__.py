"""Payloads of alerting tools to items of the history: pure functions, which know neither HTTP nor SQL.

`table.FEEDS` lists the feeds. Contract: docs/contract.md, "Feeds"; for users: docs/feeds.md.
"""
