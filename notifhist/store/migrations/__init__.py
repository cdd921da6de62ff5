"""The tables' history: each script is applied once, in order, with frozen copies of the tables."""
