// purpose: The items nearest to a user by the published vectors, filtered; `fetch` are looked at.
// use: query
// parameters: user, entities = [], property = "", low = null, high = null, available = "", fetch = 500, limit = 20
// columns: id, title, cosine
// writes: no
MATCH (c:KgrecCurrent {id: 'publication'})
MATCH (p:KgrecPublication {id: c.publication})
WITH p.slot AS slot
OPTIONAL MATCH (k:KgrecRelation)
WITH slot, [t IN collect(DISTINCT [k.role, k.edge_type]) WHERE t[0] = 'relation' | t[1]] AS relations,
     [t IN collect(DISTINCT [k.role, k.edge_type]) WHERE t[0] = 'negative' | t[1]] AS negative
MATCH (u:User {id: $user})
WITH u, slot, relations, negative,
     CASE slot WHEN 'a' THEN u.vector_a ELSE u.vector_b END AS vector
WHERE vector IS NOT NULL
CALL db.index.vector.queryNodes('kgrec_item_vector_' + slot, $fetch, vector)
YIELD node AS i, score
WHERE NOT EXISTS { MATCH (u)-[:INTERACTED]->(i) }
  AND NOT EXISTS { MATCH (u)-[y]->(i) WHERE type(y) IN negative }
  AND ($available = '' OR i[$available] = true OR i[$available] > 0)
  AND ($low IS NULL OR i[$property] >= $low)
  AND ($high IS NULL OR i[$property] <= $high)
  AND all(wanted IN $entities WHERE
          EXISTS { MATCH (i)-[x]-(e:Entity) WHERE e.id = wanted AND type(x) IN relations })
RETURN i.id AS id, i.title AS title, score AS cosine
ORDER BY cosine DESC, id
LIMIT $limit
