// purpose: Removes the vectors of up to `limit` nodes of a label.
// use: load
// parameters: limit
// columns: cleared
// writes: yes
MATCH (n:{{label}})
WHERE n.embedding IS NOT NULL
WITH n LIMIT $limit
REMOVE n.embedding
RETURN count(*) AS cleared
