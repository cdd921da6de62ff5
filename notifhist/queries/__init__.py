"""The only SQL: a module per resource, each function one question or one change to the store."""
