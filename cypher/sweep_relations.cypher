// purpose: Deletes the catalogue entries that the load did not stamp.
// use: load
// parameters: load
// columns: deleted
// writes: yes
MATCH (k:KgrecRelation)
WHERE k.load IS NULL OR k.load <> $load
DETACH DELETE k
RETURN count(*) AS deleted
