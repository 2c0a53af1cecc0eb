// purpose: The vectors of the nodes whose index is in [low, high).
// use: export
// parameters: low, high
// columns: id, vector
// writes: no
MATCH (n:{{label}})
WHERE n.index >= $low AND n.index < $high AND n.embedding IS NOT NULL
RETURN n.id AS id, n.embedding AS vector
ORDER BY n.index, id
