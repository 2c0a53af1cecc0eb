// purpose: What the current publication recommends to a user, filtered; what they know is left out.
// use: query
// parameters: user, entities = [], property = "", low = null, high = null, available = "", limit = 20
// columns: id, title, score, rank, cold
// writes: no
MATCH (c:KgrecCurrent {id: 'publication'})
WITH c.publication AS run
OPTIONAL MATCH (k:KgrecRelation)
WITH run, [t IN collect(DISTINCT [k.role, k.edge_type]) WHERE t[0] = 'relation' | t[1]] AS relations,
     [t IN collect(DISTINCT [k.role, k.edge_type]) WHERE t[0] = 'negative' | t[1]] AS negative
MATCH (u:User {id: $user})-[r:RECOMMENDED]->(i:Item)
WHERE r.run = run
  AND NOT EXISTS { MATCH (u)-[:INTERACTED]->(i) }
  AND NOT EXISTS { MATCH (u)-[y]->(i) WHERE type(y) IN negative }
  AND ($available = '' OR i[$available] = true OR i[$available] > 0)
  AND ($low IS NULL OR i[$property] >= $low)
  AND ($high IS NULL OR i[$property] <= $high)
  AND all(wanted IN $entities WHERE
          EXISTS { MATCH (i)-[x]-(e:Entity) WHERE e.id = wanted AND type(x) IN relations })
RETURN i.id AS id, i.title AS title, r.score AS score, r.rank AS rank,
       coalesce(r.cold, false) AS cold
ORDER BY rank, id
LIMIT $limit
