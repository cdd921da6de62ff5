"""`python -m bench`."""

from bench.cli import main

if __name__ == "__main__":  # the load generator's process imports this module too
    main()
