// purpose: The names of the properties that nodes of a label have.
// use: export
// columns: name
// writes: no
MATCH (n:{{label}})
UNWIND keys(n) AS name
RETURN DISTINCT name
ORDER BY name
