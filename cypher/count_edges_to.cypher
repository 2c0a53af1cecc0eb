// purpose: The number of edges of one set that end at some nodes.
// use: export
// parameters: ids
// columns: count
// writes: no
UNWIND $ids AS one
MATCH (:{{head}})-[x:{{type}}]->(:{{tail}} {id: one})
RETURN count(x) AS count
