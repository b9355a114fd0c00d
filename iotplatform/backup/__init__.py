"""Backup and recovery: the database with PostgreSQL's own tools, what was in it, and the way back. docs/backup.md."""
