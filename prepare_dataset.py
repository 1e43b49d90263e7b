"""The same as `unisono prepare`."""

import sys

from unisono.cli import main

main(["prepare", *sys.argv[1:]])
