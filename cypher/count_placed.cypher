// purpose: How many nodes of a label have a vector in one of the two places.
// use: export
// columns: count
// writes: no
MATCH (n:{{node}})
WHERE n.{{vector}} IS NOT NULL
RETURN count(n) AS count
