// purpose: Deletes up to `limit` nodes of a label that cannot be exported, with their edges.
// use: load
// parameters: limit
// columns: deleted
// writes: yes
MATCH (n:{{label}})
WHERE n.id IS NULL OR n.index IS NULL OR n.index < 0
WITH n LIMIT $limit
DETACH DELETE n
RETURN count(*) AS deleted
