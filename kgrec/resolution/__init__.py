"""Which nodes of two sources name the same thing: proposed with a score, decided by a person."""
