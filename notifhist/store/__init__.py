"""All code that knows a database: the tables, and how records are stored, counted and read."""
