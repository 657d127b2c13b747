"""Mending what is damaged, as far as it can be proven right."""
