"""The command line; the only room that prints."""

from kgrec.cli.app import main

__all__ = ["main"]
