"""What the documentation claims, measured: each benchmark prints a ratio against a named peer."""
