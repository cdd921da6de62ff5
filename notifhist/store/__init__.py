"""All that knows a database: what is stored, and how it is recorded, counted and read."""
