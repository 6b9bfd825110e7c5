"""Run the command line: ``python -m revgrad``."""

from revgrad._cli.main import main

if __name__ == "__main__":
    main()
