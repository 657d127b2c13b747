"""Bytes to values and back: the codecs of every file of a repository. No I/O."""
