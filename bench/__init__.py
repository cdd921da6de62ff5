"""What the service costs beside a bare one and a plain one, and how that changes with size: `python -m bench`."""
