"""The alarm notification history: series of items."""
