// purpose: The relationship types a model may learn from: their sizes and what they connect.
// use: query
// parameters: skip = 0, limit = 200
// columns: type, edges, connects
// writes: no
MATCH (k:KgrecRelation)
WHERE coalesce(k.role, 'relation') <> 'identity'
WITH k ORDER BY k.head, k.tail, k.id
WITH collect([k.edge_type, k.head + '->' + k.tail]) + [['INTERACTED', 'User->Item']] AS known
CALL () {
  MATCH ()-[x]->()
  RETURN type(x) AS type, count(*) AS edges
}
WITH type, edges, [k IN known WHERE k[0] = type | k[1]] AS connects
WHERE size(connects) > 0
RETURN type, edges, connects
ORDER BY edges DESC, type
SKIP $skip LIMIT $limit
