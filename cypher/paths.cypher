// purpose: Paths of two or three steps from a user to an item, over entities, items and users.
// use: query
// parameters: user, item, limit = 20
// columns: ids, labels, names, types
// writes: no
MATCH (k:KgrecRelation)
WHERE coalesce(k.role, 'relation') <> 'identity'
WITH collect(DISTINCT k.edge_type) AS relations
MATCH (u:User {id: $user})
MATCH (i:Item {id: $item})
CALL (u, i, relations) {
  MATCH (u)-[:INTERACTED]->(own:Item)-[x]-(i)
  WHERE own.id <> $item AND type(x) IN relations
  RETURN [u.id, own.id, i.id] AS ids, ['User', 'Item', 'Item'] AS labels,
         [null, own.title, i.title] AS names, ['INTERACTED', type(x)] AS types
  UNION
  MATCH (u)-[:INTERACTED]->(own:Item)-[x]-(e:Entity)-[y]-(i)
  WHERE own.id <> $item AND type(x) IN relations AND type(y) IN relations
  RETURN [u.id, own.id, e.id, i.id] AS ids, ['User', 'Item', 'Entity', 'Item'] AS labels,
         [null, own.title, e.name, i.title] AS names, ['INTERACTED', type(x), type(y)] AS types
  UNION
  MATCH (u)-[:INTERACTED]->(own:Item)<-[:INTERACTED]-(v:User)-[:INTERACTED]->(i)
  WHERE own.id <> $item AND v.id <> $user
  RETURN [u.id, own.id, v.id, i.id] AS ids, ['User', 'Item', 'User', 'Item'] AS labels,
         [null, own.title, null, i.title] AS names,
         ['INTERACTED', 'INTERACTED', 'INTERACTED'] AS types
}
RETURN ids, labels, names, types
ORDER BY size(ids), labels, ids, types
LIMIT $limit
