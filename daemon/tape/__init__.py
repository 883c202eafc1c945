"""Recorded frames: reading them back, and replaying them through the very engine that trades."""
