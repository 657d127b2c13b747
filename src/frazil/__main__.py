"""`python -m frazil`: the command line."""

from frazil.cli import main

if __name__ == "__main__":
    main()
