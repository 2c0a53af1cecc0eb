// purpose: Simple paths from a user to an item over interactions and relations, the best first.
// use: query
// parameters: user, item, hops = 3, weights = {}, max_degree = 100, skip = 0, limit = 20
// columns: ids, labels, names, types, steps, score
// writes: no
OPTIONAL MATCH (k:KgrecRelation)
WHERE coalesce(k.role, 'relation') = 'relation'
WITH collect(DISTINCT k.edge_type) AS relations
MATCH (u:User {id: $user})
MATCH (i:Item {id: $item})
CALL (u, i, relations) {
  MATCH (u)-[x]-(a)
  WHERE a <> u AND a <> i AND (type(x) = 'INTERACTED' OR (type(x) IN relations AND NOT a:Item))
    AND (NOT a:Entity OR COUNT { (a)--() } <= 10 * $max_degree)
  WITH u, x, a, CASE WHEN a:Entity THEN COUNT { MATCH (a)-[r]-() WHERE type(r) IN relations }
                ELSE 1 + COUNT { (a)-[:INTERACTED]-() } END AS d
  WHERE d <= $max_degree
  RETURN x, a, d
  ORDER BY d, labels(a)[0], a.id, startNode(x) = u, type(x)
  LIMIT $max_degree
}
CALL (u, i, relations, x, a, d) {
  MATCH (a)-[y]-(i)
  WHERE type(y) = 'INTERACTED' OR (type(y) IN relations AND NOT a:User)
  RETURN [u, a, i] AS nodes, [x, y] AS edges, 1.0 * d AS degrees
  UNION ALL
  MATCH (a)-[y]-(b)-[z]-(i)
  WHERE $hops >= 3 AND b <> u AND b <> a AND b <> i
    AND (type(y) = 'INTERACTED'
         OR (type(y) IN relations AND NOT ((a:User AND b:Item) OR (a:Item AND b:User))))
    AND (type(z) = 'INTERACTED' OR (type(z) IN relations AND NOT b:User))
    AND (NOT b:Entity OR COUNT { (b)--() } <= 10 * $max_degree)
  WITH u, a, i, x, y, z, b, d,
       CASE WHEN b:Entity THEN COUNT { MATCH (b)-[r]-() WHERE type(r) IN relations }
       ELSE 1 + COUNT { (b)-[:INTERACTED]-() } END AS e
  WHERE e <= $max_degree
  RETURN [u, a, b, i] AS nodes, [x, y, z] AS edges, 1.0 * d * e AS degrees
  UNION ALL
  MATCH (a)-[y]-(b)
  WHERE $hops >= 4 AND b <> u AND b <> a AND b <> i
    AND (type(y) = 'INTERACTED'
         OR (type(y) IN relations AND NOT ((a:User AND b:Item) OR (a:Item AND b:User))))
    AND (NOT b:Entity OR COUNT { (b)--() } <= 10 * $max_degree)
  WITH u, a, i, x, y, b, d, relations,
       CASE WHEN b:Entity THEN COUNT { MATCH (b)-[r]-() WHERE type(r) IN relations }
       ELSE 1 + COUNT { (b)-[:INTERACTED]-() } END AS e
  WHERE e <= $max_degree
  MATCH (b)-[z]-(c)-[w]-(i)
  WHERE c <> u AND c <> a AND c <> b AND c <> i
    AND (type(z) = 'INTERACTED'
         OR (type(z) IN relations AND NOT ((b:User AND c:Item) OR (b:Item AND c:User))))
    AND (type(w) = 'INTERACTED' OR (type(w) IN relations AND NOT c:User))
    AND (NOT c:Entity OR COUNT { (c)--() } <= 10 * $max_degree)
  WITH u, a, i, x, y, b, d, e, z, c, w,
       CASE WHEN c:Entity THEN COUNT { MATCH (c)-[r]-() WHERE type(r) IN relations }
       ELSE 1 + COUNT { (c)-[:INTERACTED]-() } END AS f
  WHERE f <= $max_degree
  RETURN [u, a, b, c, i] AS nodes, [x, y, z, w] AS edges, 1.0 * d * e * f AS degrees
}
WITH nodes, [x IN edges | type(x)] AS types, degrees,
     [p IN range(0, size(edges) - 1) |
      CASE WHEN startNode(edges[p]) = nodes[p] THEN '' ELSE 'rev_' END + type(edges[p])] AS steps
WITH nodes, types, steps,
     reduce(s = 1.0, p IN range(0, size(steps) - 1) |
            s * coalesce($weights[steps[p]], $weights[types[p]], 1)) / degrees AS score
WHERE score > 0
RETURN [n IN nodes | n.id] AS ids, [n IN nodes | labels(n)[0]] AS labels,
       [n IN nodes | CASE WHEN n:Item THEN n.title WHEN n:Entity THEN n.name END] AS names,
       types, steps, score
ORDER BY score DESC, size(ids), labels, ids, types, steps
SKIP $skip LIMIT $limit
