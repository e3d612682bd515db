"""Run an experiment: `python run_textbox.py --model=ELMER --dataset=apidoc`."""

import sys

from textbox_elmer.cli import main

if __name__ == "__main__":
    sys.exit(main())
