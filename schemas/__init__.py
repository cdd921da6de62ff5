"""The wire contract: what clients may send and what they get, each document's members written once."""
