// purpose: Which of some ids a label has, with the index and the properties' names of the node.
// use: load
// parameters: ids
// columns: id, index, names
// writes: no
UNWIND $ids AS wanted
MATCH (n:{{label}} {id: wanted})
RETURN n.id AS id, n.index AS index, keys(n) AS names
