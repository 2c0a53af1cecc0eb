// purpose: Deletes up to `limit` nodes of a label that the load did not stamp, with their edges.
// use: load
// parameters: load, limit
// columns: deleted
// writes: yes
MATCH (n:{{label}})
WHERE n.load IS NULL OR n.load <> $load
WITH n LIMIT $limit
DETACH DELETE n
RETURN count(*) AS deleted
