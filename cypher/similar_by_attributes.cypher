// purpose: Items that share attributes with an item; rare ones and heavy relations count for more.
// use: query
// parameters: item, weights = {}, max_degree = 1000, skip = 0, limit = 20
// columns: id, title, shared, score
// writes: no
MATCH (k:KgrecRelation)
WHERE coalesce(k.role, 'relation') = 'relation'
WITH collect(DISTINCT k.edge_type) AS relations
MATCH (i:Item {id: $item})-[x]-(e:Entity)
WHERE type(x) IN relations AND COUNT { (e)--() } <= 10 * $max_degree
WITH i, relations, e, COUNT { MATCH (e)-[r]-() WHERE type(r) IN relations } AS degree,
     CASE WHEN startNode(x) = i THEN type(x) ELSE 'rev_' + type(x) END AS step, type(x) AS type
WHERE degree <= $max_degree
WITH i, relations, e, degree, sum(1.0 * coalesce($weights[step], $weights[type], 1)) AS to
MATCH (e)-[y]-(other:Item)
WHERE type(y) IN relations AND other <> i
WITH other, e, to / degree AS share,
     CASE WHEN startNode(y) = e THEN type(y) ELSE 'rev_' + type(y) END AS step, type(y) AS type
WITH other, count(DISTINCT e) AS shared,
     sum(share * coalesce($weights[step], $weights[type], 1)) AS total
WITH other, shared, round(total * 1000000000.0) / 1000000000.0 AS score
WHERE score > 0
RETURN other.id AS id, other.title AS title, shared, score
ORDER BY score DESC, id
SKIP $skip LIMIT $limit
