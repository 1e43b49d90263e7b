"""The card of a unified file as an HTML page."""

import unisono.retrieval.report  # noqa: F401 - raises an error in words if its packages are missing
