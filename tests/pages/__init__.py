"""The pages in a real browser: Chromium, driven by its own driver. `make test-pages` runs them."""
