// purpose: The edge sets of the graph a model may learn from, with their sizes.
// use: query
// parameters: limit = 200
// columns: head, type, tail, edges
// writes: no
MATCH (k:KgrecRelation)
WITH collect(DISTINCT k.edge_type) + ['INTERACTED'] AS types
MATCH (a)-[x]->(b)
WHERE type(x) IN types
WITH labels(a)[0] AS head, type(x) AS type, labels(b)[0] AS tail, count(*) AS edges
RETURN head, type, tail, edges
ORDER BY edges DESC, type, head, tail
LIMIT $limit
