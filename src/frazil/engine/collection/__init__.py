"""Deleting what nothing refers to, and keeping what somebody is about to need."""
