"""`python -m compatgw`: the command line."""

from compatgw.cli import main

if __name__ == "__main__":
    main()
