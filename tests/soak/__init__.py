"""`make soak`: the fault suite with all its rounds."""
