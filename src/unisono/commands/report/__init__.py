"""Plots and pages for people: what the numbers look like, and what the music behind them sounds like."""

from unisono.base.errors import UsageError

try:
    import jinja2  # noqa: F401
    import matplotlib as mpl
except ImportError as error:
    raise UsageError(
        f"Reports need the package {error.name}.", hint="Install it with: pip install 'unisono[report]'"
    ) from error

mpl.use("Agg")
