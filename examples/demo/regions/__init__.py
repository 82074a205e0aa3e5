"""Which region of the world does a place belong to? A small, real pipeline in plain Python."""
