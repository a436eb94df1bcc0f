"""Makes ``python -m hierjax`` the command ``hierjax``."""

from hierjax.cli import main

if __name__ == "__main__":
    main()
