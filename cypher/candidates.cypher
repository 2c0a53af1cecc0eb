// purpose: Items that meet all constraints, the most popular first.
// use: query
// parameters: attributes = [], ranges = [], available = null, user = null, unseen = true, undisliked = true, skip = 0, limit = 50
// columns: id, title, users
// writes: no
OPTIONAL MATCH (k:KgrecRelation)
WHERE k.role = 'negative'
WITH collect(DISTINCT k.edge_type) AS negative
OPTIONAL MATCH (u:User {id: $user})
WITH negative, u
WHERE $user IS NULL OR u IS NOT NULL
CALL (u, negative) {
  OPTIONAL MATCH (u)-[x]->(i:Item)
  WHERE $undisliked AND type(x) IN negative
  RETURN collect(DISTINCT i.id) AS disliked
}
CALL () {
  MATCH (i:Item)
  WHERE size($attributes) = 0
  RETURN i
  UNION
  MATCH (e:Entity)
  WHERE e.id IN $attributes[0][1]
  MATCH (e)-[x]-(i:Item)
  WHERE $attributes[0][0] = type(x)
  RETURN i
}
WITH u, disliked, i
WHERE ($available IS NULL OR i[$available] = true OR i[$available] > 0)
  AND all(r IN $ranges WHERE i[r[0]] IS NOT NULL AND (r[1] IS NULL OR i[r[0]] >= r[1])
                             AND (r[2] IS NULL OR i[r[0]] <= r[2]))
  AND NOT i.id IN disliked
  AND (NOT $unseen OR NOT EXISTS { MATCH (u)-[:INTERACTED|HELD_OUT_VALID|HELD_OUT_TEST]->(i) })
  AND all(a IN $attributes WHERE EXISTS {
    MATCH (i)-[x]-(e:Entity) WHERE a[0] = type(x) AND e.id IN a[1]
  })
WITH i, COUNT { (i)<-[:INTERACTED]-() } AS users
RETURN i.id AS id, i.title AS title, users
ORDER BY users DESC, id
SKIP $skip LIMIT $limit
