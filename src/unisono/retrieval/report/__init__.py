"""Evaluation reports as HTML pages: plots, and players for the music."""

from unisono.base.extras import extra

with extra("report", "Writing reports"):
    import jinja2  # noqa: F401
    import matplotlib  # noqa: F401
