"""Effects: reading, writing, committing and rebasing, in blocking code."""
