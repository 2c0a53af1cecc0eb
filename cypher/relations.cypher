// purpose: The catalogue of relations: which edge set holds which, and what it says to a model.
// use: query
// columns: name, type, head, tail, role, properties
// writes: no
MATCH (k:KgrecRelation)
RETURN k.name AS name, k.edge_type AS type, k.head AS head, k.tail AS tail, k.role AS role,
       k.properties AS properties
ORDER BY type, head, tail, k.id
