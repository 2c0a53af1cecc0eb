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
MATCH (i:Item)
WHERE ($available IS NULL OR i[$available] = true OR i[$available] > 0)
  AND all(r IN $ranges WHERE i[r[0]] IS NOT NULL AND (r[1] IS NULL OR i[r[0]] >= r[1])
                             AND (r[2] IS NULL OR i[r[0]] <= r[2]))
  AND (NOT $unseen OR NOT EXISTS { MATCH (u)-[:INTERACTED]->(i) })
  AND (NOT $undisliked OR NOT EXISTS { MATCH (u)-[x]->(i) WHERE type(x) IN negative })
  AND all(a IN $attributes WHERE EXISTS {
    MATCH (i)-[x]-(e:Entity) WHERE a[0] = type(x) AND e.id IN a[1]
  })
WITH i, COUNT { (i)<-[:INTERACTED]-() } AS users
RETURN i.id AS id, i.title AS title, users
ORDER BY users DESC, id
SKIP $skip LIMIT $limit
