"""Only here are readings written."""
