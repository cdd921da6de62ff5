"""The notification runs."""
