"""Ranking metrics, cohorts and reports."""
