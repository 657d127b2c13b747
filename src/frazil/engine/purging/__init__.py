"""Removing something from all of history."""
