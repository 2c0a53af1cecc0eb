// purpose: How many relationships of a type end at a label, from the count store.
// use: export
// columns: edges
// writes: no
MATCH ()-[r:{{type}}]->(:{{label}})
RETURN count(r) AS edges
