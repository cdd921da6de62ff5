"""`notifhist-run`: runs a notification command, changes nothing about it, and keeps what became of it.

This package imports nothing but the standard library and itself, so that it starts within milliseconds. For users:
docs/feeds.md.
"""
