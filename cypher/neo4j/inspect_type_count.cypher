// purpose: How many relationships a type has, from the count store.
// use: export
// columns: edges
// writes: no
MATCH ()-[r:{{type}}]->()
RETURN count(r) AS edges
