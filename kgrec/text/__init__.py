"""Node texts, their encoder and its cache."""
