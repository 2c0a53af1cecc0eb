// purpose: How own items are connected to an item: by one entity, or directly (entity is null).
// use: query
// parameters: own (ids), item, skip = 0, limit = 50
// columns: own, type_in, entity, name, type_out
// writes: no
MATCH (k:KgrecRelation)
WHERE coalesce(k.role, 'relation') <> 'identity'
WITH collect(DISTINCT k.edge_type) AS types
MATCH (i:Item {id: $item})
CALL (i, types) {
  MATCH (i)-[y]-(e:Entity)-[x]-(o:Item)
  WHERE o.id IN $own AND o.id <> $item AND type(x) IN types AND type(y) IN types
  RETURN o.id AS own, type(x) AS type_in, e.id AS entity, e.name AS name, type(y) AS type_out
  UNION
  MATCH (i)-[x]-(o:Item)
  WHERE o.id IN $own AND o.id <> $item AND type(x) IN types
  RETURN o.id AS own, type(x) AS type_in, null AS entity, null AS name, type(x) AS type_out
}
RETURN own, type_in, entity, name, type_out
ORDER BY own, coalesce(entity, ''), type_in, type_out
SKIP $skip LIMIT $limit
