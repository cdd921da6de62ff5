"""The same documents in several formats: pure functions between documents and bytes."""
