// purpose: The entities and items around an item, by relation; `outgoing` tells the direction.
// use: query
// parameters: item, relations = [], skip = 0, limit = 50
// columns: relation, type, outgoing, label, id, name
// writes: no
MATCH (i:Item {id: $item})-[x]-(n)
WHERE (n:Item OR n:Entity) AND (size($relations) = 0 OR type(x) IN $relations)
MATCH (k:KgrecRelation)
WHERE k.edge_type = type(x) AND k.head = labels(startNode(x))[0] AND k.tail = labels(endNode(x))[0]
RETURN k.name AS relation, type(x) AS type, startNode(x) = i AS outgoing, labels(n)[0] AS label,
       n.id AS id, CASE WHEN n:Item THEN n.title ELSE n.name END AS name
ORDER BY relation, type, outgoing DESC, label, id
SKIP $skip LIMIT $limit
