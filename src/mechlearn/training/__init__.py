"""Teaching systems, offline and online."""
