"""Cached, typed access to the files of one repository."""
