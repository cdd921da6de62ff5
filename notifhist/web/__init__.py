"""The way of a request: the checks before its view, the views in a module per API, the hooks after it."""
