"""`python -m longwatch` is the command `longwatch`."""

from longwatch.cli import main

if __name__ == "__main__":
    main()
