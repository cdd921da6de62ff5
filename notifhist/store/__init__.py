"""All SQL over what is recorded: a module per resource, each function one question or one change."""
