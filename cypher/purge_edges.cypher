// purpose: Deletes up to `limit` edges that a publication made.
// use: load
// parameters: run, limit
// columns: deleted
// writes: yes
MATCH ()-[x:{{type}}]->()
WHERE x.run = $run
WITH x LIMIT $limit
DELETE x
RETURN count(*) AS deleted
