"""Decisions: pure functions and values, without input, output, clock or randomness."""
