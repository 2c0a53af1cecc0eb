// purpose: The attributes of most items: of how many, what share, and these items' interactions.
// use: query
// parameters: relations = [], skip = 0, limit = 50
// columns: type, id, name, items, share, interactions
// writes: no
MATCH (k:KgrecRelation)
WHERE coalesce(k.role, 'relation') = 'relation'
  AND (size($relations) = 0 OR k.edge_type IN $relations)
WITH collect(DISTINCT k.edge_type) AS relations
CALL () {
  MATCH (j:Item)
  RETURN count(j) AS total
}
MATCH (e:Entity)
CALL (e, relations) {
  MATCH (e)-[x]-(i:Item)
  WHERE type(x) IN relations
  RETURN type(x) AS type, count(DISTINCT i.id) AS items
}
WITH total, type, e, items
ORDER BY items DESC, type, e.id
SKIP $skip LIMIT $limit
CALL (type, e) {
  MATCH (e)-[y]-(j:Item)
  WHERE type = type(y)
  WITH DISTINCT j
  RETURN sum(COUNT { (j)<-[:INTERACTED]-() }) AS interactions
}
RETURN type, e.id AS id, e.name AS name, items, toFloat(items) / total AS share, interactions
ORDER BY items DESC, type, id
