// purpose: The items with the most training interactions, of all times or of [since, until).
// use: query
// parameters: since = null, until = null, skip = 0, limit = 20
// columns: id, title, users
// writes: no
MATCH (i:Item)
WITH i, CASE
  WHEN $since IS NULL AND $until IS NULL THEN COUNT { (i)<-[:INTERACTED]-() }
  ELSE COUNT {
    MATCH (i)<-[x:INTERACTED]-()
    WHERE ($since IS NULL OR x.time >= $since) AND ($until IS NULL OR x.time < $until)
  } END AS users
WHERE users > 0
RETURN i.id AS id, i.title AS title, users
ORDER BY users DESC, id
SKIP $skip LIMIT $limit
