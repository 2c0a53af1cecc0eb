"""The data card: what the data is like, and what in it may mislead."""
