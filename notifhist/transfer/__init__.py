"""Whole files of records, in and out."""
