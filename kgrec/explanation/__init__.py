"""Why an item was recommended: contributions and paths."""
