// purpose: One step of random walks: where a draw in [0, 1) leads from each walk's node.
// use: query
// parameters: steps (lists: walk, label, id, draw), relations = [], limit = 10000
// columns: walk, label, id, name, type, outgoing
// writes: no
OPTIONAL MATCH (k:KgrecRelation)
WHERE coalesce(k.role, 'relation') = 'relation'
WITH collect(DISTINCT k.edge_type) + ['INTERACTED'] AS known
WITH [t IN known WHERE size($relations) = 0 OR t IN $relations] AS types
UNWIND $steps AS s
CALL (s) {
  MATCH (n:User {id: s[2]})
  WHERE s[1] = 'User'
  RETURN n
  UNION ALL
  MATCH (n:Item {id: s[2]})
  WHERE s[1] = 'Item'
  RETURN n
  UNION ALL
  MATCH (n:Entity {id: s[2]})
  WHERE s[1] = 'Entity'
  RETURN n
}
WITH types, n, collect(s) AS walks
MATCH (n)-[x]-(m)
WHERE type(x) IN types
  AND (type(x) = 'INTERACTED' OR NOT ((n:User AND m:Item) OR (n:Item AND m:User)))
WITH n, walks, x, m
ORDER BY type(x), startNode(x) = n DESC, labels(m)[0], m.id
WITH n, walks, collect(x) AS edges, collect(m) AS tails
UNWIND walks AS s
WITH n, s[0] AS walk, edges, tails, toInteger(s[3] * size(tails)) AS drawn
WITH n, walk, edges[drawn] AS x, tails[drawn] AS m
RETURN walk, labels(m)[0] AS label, m.id AS id,
       CASE WHEN m:Item THEN m.title WHEN m:Entity THEN m.name END AS name, type(x) AS type,
       startNode(x) = n AS outgoing
ORDER BY walk, label, id
LIMIT $limit
