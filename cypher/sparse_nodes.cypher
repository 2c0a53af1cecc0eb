// purpose: Users or items with 1 to `at_most` training interactions, the fewest first.
// use: query
// parameters: label = "User", at_most = 5, skip = 0, limit = 50
// columns: label, id, name, interactions, relations
// writes: no
OPTIONAL MATCH (k:KgrecRelation)
WHERE coalesce(k.role, 'relation') = 'relation'
WITH collect(DISTINCT k.edge_type) AS relations
CALL () {
  MATCH (n:User)
  WHERE $label = 'User'
  RETURN n
  UNION ALL
  MATCH (n:Item)
  WHERE $label = 'Item'
  RETURN n
}
WITH relations, n, COUNT { (n)-[:INTERACTED]-() } AS interactions
WHERE interactions > 0 AND interactions <= $at_most
WITH n, interactions, relations AS types
ORDER BY interactions, n.id
SKIP $skip LIMIT $limit
RETURN labels(n)[0] AS label, n.id AS id, CASE WHEN n:Item THEN n.title END AS name, interactions,
       COUNT { MATCH (n)-[x]-() WHERE type(x) IN types } AS relations
ORDER BY interactions, id
