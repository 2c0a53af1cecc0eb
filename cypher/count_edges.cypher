// purpose: The number of edges of one set.
// use: export
// columns: count
// writes: no
MATCH (:{{head}})-[x:{{type}}]->(:{{tail}})
RETURN count(x) AS count
