// purpose: How many relationships of a type begin at a label, from the count store.
// use: export
// columns: edges
// writes: no
MATCH (:{{label}})-[r:{{type}}]->()
RETURN count(r) AS edges
