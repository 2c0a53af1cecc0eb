"""Scorers and losses: plain tensors only."""
