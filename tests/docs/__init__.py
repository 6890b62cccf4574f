"""README.md, CHANGELOG.md and the pages of docs/: what they show runs, and where they point is."""
