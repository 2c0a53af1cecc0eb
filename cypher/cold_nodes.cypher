// purpose: Users or items without training interactions, those with most relations first.
// use: query
// parameters: label = "Item", skip = 0, limit = 50
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
WHERE interactions = 0
WITH n, interactions, COUNT { MATCH (n)-[x]-() WHERE type(x) IN relations } AS relations
RETURN labels(n)[0] AS label, n.id AS id, CASE WHEN n:Item THEN n.title END AS name, interactions,
       relations
ORDER BY relations DESC, id
SKIP $skip LIMIT $limit
