// purpose: The relationship types a model may learn from: their sizes and what they connect.
// use: query
// parameters: skip = 0, limit = 200
// columns: type, edges, connects
// writes: no
MATCH (k:KgrecRelation)
WHERE coalesce(k.role, 'relation') <> 'identity'
WITH k ORDER BY k.head, k.tail, k.id
WITH collect([k.edge_type, k.head + '->' + k.tail, k.head]) + [['INTERACTED', 'User->Item', '']]
     AS known
CALL (known) {
  // The interactions, most edges by far, are counted and not looked at.
  MATCH ()-[x:INTERACTED]->()
  RETURN 'INTERACTED' AS type, count(x) AS edges
  UNION ALL
  MATCH (n:Item)-[x]->()
  RETURN type(x) AS type, count(*) AS edges
  UNION ALL
  MATCH (n:Entity)-[x]->()
  RETURN type(x) AS type, count(*) AS edges
  UNION ALL
  WITH known
  WHERE any(k IN known WHERE k[2] = 'User')
  MATCH (n:User)-[x]->()
  WHERE type(x) <> 'INTERACTED'
  RETURN type(x) AS type, count(*) AS edges
}
WITH known, type, sum(edges) AS edges
WITH type, edges, [k IN known WHERE k[0] = type | k[1]] AS connects
WHERE size(connects) > 0 AND edges > 0
RETURN type, edges, connects
ORDER BY edges DESC, type
SKIP $skip LIMIT $limit
