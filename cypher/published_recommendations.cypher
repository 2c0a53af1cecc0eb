// purpose: What the current publication recommends to a user, filtered; what they know is left out.
// use: query
// parameters: user, attributes = [], ranges = [], available = null, skip = 0, limit = 20
// columns: id, title, score, rank, cold
// writes: no
MATCH (c:KgrecCurrent {id: 'publication'})
WITH c.publication AS run
OPTIONAL MATCH (k:KgrecRelation)
WHERE k.role = 'negative'
WITH run, collect(DISTINCT k.edge_type) AS negative
MATCH (u:User {id: $user})-[r:RECOMMENDED]->(i:Item)
WHERE r.run = run
  AND NOT EXISTS { MATCH (u)-[:INTERACTED|HELD_OUT_VALID|HELD_OUT_TEST]->(i) }
  AND NOT EXISTS { MATCH (u)-[y]->(i) WHERE type(y) IN negative }
  AND ($available IS NULL OR i[$available] = true OR i[$available] > 0)
  AND all(r IN $ranges WHERE i[r[0]] IS NOT NULL AND (r[1] IS NULL OR i[r[0]] >= r[1])
                             AND (r[2] IS NULL OR i[r[0]] <= r[2]))
  AND all(a IN $attributes WHERE EXISTS {
    MATCH (i)-[x]-(e:Entity) WHERE a[0] = type(x) AND e.id IN a[1]
  })
RETURN i.id AS id, i.title AS title, r.score AS score, r.rank AS rank,
       coalesce(r.cold, false) AS cold
ORDER BY rank, id
SKIP $skip LIMIT $limit
