"""The pages for people, below /ui/: views, templates and assets. Their URLs and behaviour: docs/pages.md."""
