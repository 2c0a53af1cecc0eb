"""The graph that the journal's rows amount to: folded, filtered, split, joined."""
