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
WITH n, walks, type(x) AS type, startNode(x) = n AS outgoing, labels(m)[0] AS label, m
ORDER BY type, outgoing DESC, label, m.id
WITH n, walks, collect([label, m.id, CASE WHEN m:Item THEN m.title WHEN m:Entity THEN m.name END,
                        type, outgoing]) AS options
UNWIND walks AS s
WITH s[0] AS walk, options[toInteger(s[3] * size(options))] AS chosen
RETURN walk, chosen[0] AS label, chosen[1] AS id, chosen[2] AS name, chosen[3] AS type,
       chosen[4] AS outgoing
ORDER BY walk, label, id
LIMIT $limit
