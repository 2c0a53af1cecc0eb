// purpose: Deletes up to `limit` proposed pairs of a run; of all runs where `run` is null.
// use: load
// parameters: run, limit
// columns: deleted
// writes: yes
MATCH (:{{head}})-[x:{{type}}]->(:{{tail}})
WHERE $run IS NULL OR x.run = $run
WITH x LIMIT $limit
DELETE x
RETURN count(*) AS deleted
