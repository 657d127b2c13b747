"""Looking whether everything in a repository is there, and as it was written."""
