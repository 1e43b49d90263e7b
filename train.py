"""The same as `unisono train`."""

import sys

from unisono.cli import main

main(["train", *sys.argv[1:]])
