// purpose: The relationship types a model may learn from: their sizes and what they connect.
// use: query
// parameters: limit = 200
// columns: type, edges, connects
// writes: no
MATCH ()-[x]->()
WITH type(x) AS type, count(*) AS edges
OPTIONAL MATCH (k:KgrecRelation)
WHERE k.edge_type = type
WITH type, edges, k ORDER BY k.head, k.tail, k.id
WITH type, edges, collect(k.head + '->' + k.tail) AS connects
WITH type, edges, CASE WHEN type = 'INTERACTED' THEN ['User->Item'] ELSE connects END AS connects
WHERE size(connects) > 0
RETURN type, edges, connects
ORDER BY edges DESC, type
LIMIT $limit
