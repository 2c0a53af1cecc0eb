// purpose: The items with the most training interactions, of all times or of [since, until).
// use: query
// parameters: since = null, until = null, skip = 0, limit = 20
// columns: id, title, users
// writes: no
WITH $since IS NULL AND $until IS NULL AS always
WITH always, CASE WHEN always THEN 9.0e15 ELSE coalesce($since, -9.0e15) END AS low,
     coalesce($until, 9.0e15) AS high
CALL (always, low, high) {
  MATCH (i:Item)
  WHERE always
  RETURN i, COUNT { (i)<-[:INTERACTED]-() } AS users
  UNION ALL
  MATCH (i:Item)<-[x:INTERACTED]-()
  WHERE x.time >= low AND x.time < high
  RETURN i, count(x) AS users
}
WITH i, users
WHERE users > 0
RETURN i.id AS id, i.title AS title, users
ORDER BY users DESC, id
SKIP $skip LIMIT $limit
