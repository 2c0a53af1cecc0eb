"""The seam to the graph: one protocol, two engines, one set of Cypher statements."""
