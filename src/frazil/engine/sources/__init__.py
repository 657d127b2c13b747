"""Virtual chunks: ranges of files that are not the repository's."""
