"""`python -m textbox_elmer`, and the console command `textbox-elmer`."""

import sys

from textbox_elmer.cli import main


def run() -> None:
    """Run the command line and leave with its status."""
    sys.exit(main())


if __name__ == "__main__":
    run()
