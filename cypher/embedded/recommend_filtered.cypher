// purpose: The items nearest to a user by the published vectors, filtered; `fetch` are looked at.
// use: query
// parameters: user, attributes = [], ranges = [], available = null, fetch = 500, skip = 0, limit = 20
// columns: id, title, cosine
// writes: no
MATCH (c:KgrecCurrent {id: 'publication'})
MATCH (p:KgrecPublication {id: c.publication})
WITH p.slot AS slot
OPTIONAL MATCH (k:KgrecRelation)
WHERE k.role = 'negative'
WITH slot, collect(DISTINCT k.edge_type) AS negative
MATCH (u:User {id: $user})
WITH u, slot, negative, CASE slot WHEN 'a' THEN u.vector_a ELSE u.vector_b END AS vector
WHERE vector IS NOT NULL
MATCH (i:Item)
WITH u, negative, vector, i, CASE slot WHEN 'a' THEN i.vector_a ELSE i.vector_b END AS other
WHERE other IS NOT NULL
WITH u, negative, i, cosine(other, vector) AS score
ORDER BY score DESC, i.id
LIMIT $fetch
WITH u, negative, i, score
WHERE NOT EXISTS { MATCH (u)-[:INTERACTED|HELD_OUT_VALID|HELD_OUT_TEST]->(i) }
  AND NOT EXISTS { MATCH (u)-[y]->(i) WHERE type(y) IN negative }
  AND ($available IS NULL OR i[$available] = true OR i[$available] > 0)
  AND all(r IN $ranges WHERE i[r[0]] IS NOT NULL AND (r[1] IS NULL OR i[r[0]] >= r[1])
                             AND (r[2] IS NULL OR i[r[0]] <= r[2]))
  AND all(a IN $attributes WHERE EXISTS {
    MATCH (i)-[x]-(e:Entity) WHERE a[0] = type(x) AND e.id IN a[1]
  })
RETURN i.id AS id, i.title AS title, score AS cosine
ORDER BY cosine DESC, id
SKIP $skip LIMIT $limit
