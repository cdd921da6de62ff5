"""Counts by time and filter, kept so that a total costs the same at any size."""
