// purpose: The internal id and the index of every node of a label, as two parallel lists.
// use: export
// columns: nodes, indices
// writes: no
MATCH (n:{{label}})
RETURN collect(id(n)) AS nodes, collect(n.index) AS indices
