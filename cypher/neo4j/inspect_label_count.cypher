// purpose: How many nodes a label has, from the count store.
// use: export
// columns: nodes
// writes: no
MATCH (n:{{label}})
RETURN count(n) AS nodes
