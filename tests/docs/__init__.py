"""The documents do what they say: every command, every recipe, every example, on a running platform."""
