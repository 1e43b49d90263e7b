"""The same as `unisono download`."""

import sys

from unisono.cli import main

main(["download", *sys.argv[1:]])
