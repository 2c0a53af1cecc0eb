// purpose: One hop of a subgraph: the edges of some nodes, relations first.
// use: query
// parameters: nodes (lists: label, id), relations = [], max_degree = null, per_node = 25, limit = 1000
// columns: head_label, head, head_name, tail_label, tail, tail_name, type
// writes: no
OPTIONAL MATCH (k:KgrecRelation)
WHERE coalesce(k.role, 'relation') = 'relation'
WITH collect(DISTINCT k.edge_type) + ['INTERACTED'] AS known
WITH known, [t IN known WHERE size($relations) = 0 OR t IN $relations] AS types
UNWIND $nodes AS s
CALL (s) {
  MATCH (n:User {id: s[1]})
  WHERE s[0] = 'User'
  RETURN n
  UNION ALL
  MATCH (n:Item {id: s[1]})
  WHERE s[0] = 'Item'
  RETURN n
  UNION ALL
  MATCH (n:Entity {id: s[1]})
  WHERE s[0] = 'Entity'
  RETURN n
}
WITH types, known, n
WHERE $max_degree IS NULL OR NOT n:Entity OR COUNT { (n)--() } <= 10 * $max_degree
WITH types, n, CASE WHEN n:Entity THEN COUNT { MATCH (n)-[r]-() WHERE type(r) IN known }
               ELSE 1 + COUNT { (n)-[:INTERACTED]-() } END AS degree
WHERE $max_degree IS NULL OR degree <= $max_degree
CALL (types, n) {
  MATCH (n)-[x]-(m)
  WHERE type(x) IN types
    AND (type(x) = 'INTERACTED' OR NOT ((n:User AND m:Item) OR (n:Item AND m:User)))
  RETURN x
  ORDER BY type(x) = 'INTERACTED', labels(m)[0], m.id, startNode(x) <> n, type(x)
  LIMIT $per_node
}
WITH DISTINCT startNode(x) AS a, endNode(x) AS b, type(x) AS type
RETURN labels(a)[0] AS head_label, a.id AS head,
       CASE labels(a)[0] WHEN 'Item' THEN a.title WHEN 'Entity' THEN a.name END AS head_name,
       labels(b)[0] AS tail_label, b.id AS tail,
       CASE labels(b)[0] WHEN 'Item' THEN b.title WHEN 'Entity' THEN b.name END AS tail_name, type
ORDER BY head_label, head, tail_label, tail, type
LIMIT $limit
