// purpose: The number of edges of one set that begin at some nodes.
// use: export
// parameters: ids
// columns: count
// writes: no
UNWIND $ids AS one
MATCH (:{{head}} {id: one})-[x:{{type}}]->(:{{tail}})
RETURN count(x) AS count
