"""Quarantine: refused readings are written by the drain, and replayed or discarded by people."""
