"""The same as `unisono unify`."""

import sys

from unisono.cli import main

main(["unify", *sys.argv[1:]])
