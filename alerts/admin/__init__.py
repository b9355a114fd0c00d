"""The admin of alerts: one file per family of models."""
