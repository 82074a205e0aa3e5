"""The types of artifacts: how each is read and written. A module is imported when its type is used first."""
