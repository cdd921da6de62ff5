"""URL → view: a module per API, and what every request passes on its way in and out."""
