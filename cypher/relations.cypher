// purpose: The catalogue of relations.
// use: query
// columns: name, type, head, tail
// writes: no
MATCH (k:KgrecRelation)
RETURN k.name AS name, k.edge_type AS type, k.head AS head, k.tail AS tail
ORDER BY type, head, tail, k.id
