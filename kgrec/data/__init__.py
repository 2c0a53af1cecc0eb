"""Readers, validated tables, splits and the demo data."""
