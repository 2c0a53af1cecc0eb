"""What the knowledge graph is worth: the same model with it, without it and with it shuffled."""
