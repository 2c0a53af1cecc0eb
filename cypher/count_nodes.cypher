// purpose: The number of nodes of a label.
// use: export
// columns: count
// writes: no
MATCH (n:{{label}})
RETURN count(n) AS count
