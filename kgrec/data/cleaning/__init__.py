"""Chunks of raw cells into checked rows; what was mended, left out or refused is counted."""
