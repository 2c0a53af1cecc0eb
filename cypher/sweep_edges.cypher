// purpose: Deletes up to `limit` edges of one set that the load did not stamp.
// use: load
// parameters: load, limit
// columns: deleted
// writes: yes
MATCH (:{{head}})-[x:{{type}}]->(:{{tail}})
WHERE x.load IS NULL OR x.load <> $load
WITH x LIMIT $limit
DELETE x
RETURN count(*) AS deleted
