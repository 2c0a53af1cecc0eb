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
WITH u, i, relations, collect([x, a, d]) AS firsts
CALL (u, i, relations, firsts) {
  UNWIND firsts AS first
  WITH u, i, relations, first[0] AS x, first[1] AS a, first[2] AS d
  MATCH (a)-[y]-(i)
  WHERE type(y) = 'INTERACTED' OR (type(y) IN relations AND NOT a:User)
  RETURN [u, a, i] AS nodes, [x, y] AS edges, 1.0 * d AS degrees
  UNION ALL
  UNWIND firsts AS first
  WITH u, i, relations, first[0] AS x, first[1] AS a, first[2] AS d
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
  // Four hops are two from the user and two from the item that meet in b. The latter are looked
  // for from the item, or, if it has more edges than the user has walks to a b, from there.
  WITH u, i, relations, firsts
  WHERE $hops >= 4 AND size(firsts) > 0
  WITH u, i, relations, firsts,
       COUNT { (i)--() } <= reduce(n = 0, first IN firsts | n + first[2]) AS back
  CALL (u, relations, firsts) {
    UNWIND firsts AS first
    WITH u, relations, first[1] AS a
    MATCH (a)-[y]-(b)
    WHERE b <> u AND (type(y) = 'INTERACTED'
                      OR (type(y) IN relations
                          AND NOT ((a:User AND b:Item) OR (a:Item AND b:User))))
    RETURN collect(DISTINCT labels(b)[0]) AS met
  }
  CALL (u, i, relations, firsts, back, met) {
    UNWIND firsts AS first
    WITH u, i, relations, first[0] AS x, first[1] AS a, first[2] AS d
    MATCH (a)-[y]-(b)
    WHERE b <> u AND b <> a AND b <> i
      AND (type(y) = 'INTERACTED'
           OR (type(y) IN relations AND NOT ((a:User AND b:Item) OR (a:Item AND b:User))))
    RETURN b, [x, a, y, d] AS near, null AS far
    UNION ALL
    WITH u, i, relations, back, met
    WHERE back
    MATCH (i)-[w]-(c)
    WHERE c <> u AND c <> i
      AND (type(w) = 'INTERACTED' OR (type(w) IN relations AND NOT c:User))
      AND (NOT c:Entity OR COUNT { (c)--() } <= 10 * $max_degree)
    WITH u, i, relations, met, w, c,
         CASE WHEN c:Entity THEN COUNT { MATCH (c)-[r]-() WHERE type(r) IN relations }
         ELSE 1 + COUNT { (c)-[:INTERACTED]-() } END AS f
    WHERE f <= $max_degree
    MATCH (c)-[z]-(b)
    WHERE labels(b)[0] IN met AND b <> u AND b <> c AND b <> i
      AND (type(z) = 'INTERACTED'
           OR (type(z) IN relations AND NOT ((b:User AND c:Item) OR (b:Item AND c:User))))
    RETURN b, null AS near, [z, c, w, f] AS far
    UNION ALL
    WITH u, i, relations, firsts, back
    WHERE NOT back
    UNWIND firsts AS first
    WITH u, i, relations, first[1] AS a
    MATCH (a)-[y]-(b)
    WHERE b <> u AND b <> a AND b <> i
      AND (type(y) = 'INTERACTED'
           OR (type(y) IN relations AND NOT ((a:User AND b:Item) OR (a:Item AND b:User))))
    WITH DISTINCT u, i, relations, b
    WHERE NOT b:Entity OR COUNT { (b)--() } <= 10 * $max_degree
    WITH u, i, relations, b,
         CASE WHEN b:Entity THEN COUNT { MATCH (b)-[r]-() WHERE type(r) IN relations }
         ELSE 1 + COUNT { (b)-[:INTERACTED]-() } END AS e
    WHERE e <= $max_degree
    MATCH (b)-[z]-(c)
    WHERE c <> u AND c <> b AND c <> i
      AND (type(z) = 'INTERACTED'
           OR (type(z) IN relations AND NOT ((b:User AND c:Item) OR (b:Item AND c:User))))
      AND (NOT c:Entity OR COUNT { (c)--() } <= 10 * $max_degree)
    WITH i, relations, b, z, c,
         CASE WHEN c:Entity THEN COUNT { MATCH (c)-[r]-() WHERE type(r) IN relations }
         ELSE 1 + COUNT { (c)-[:INTERACTED]-() } END AS f
    WHERE f <= $max_degree
    MATCH (c)-[w]-(i)
    WHERE type(w) = 'INTERACTED' OR (type(w) IN relations AND NOT c:User)
    RETURN b, null AS near, [z, c, w, f] AS far
  }
  WITH u, i, relations, b, collect(near) AS nears, collect(far) AS fars
  WHERE size(nears) > 0 AND size(fars) > 0
    AND (NOT b:Entity OR COUNT { (b)--() } <= 10 * $max_degree)
  WITH u, i, b, nears, fars,
       CASE WHEN b:Entity THEN COUNT { MATCH (b)-[r]-() WHERE type(r) IN relations }
       ELSE 1 + COUNT { (b)-[:INTERACTED]-() } END AS e
  WHERE e <= $max_degree
  UNWIND nears AS near
  UNWIND fars AS far
  WITH u, i, b, e, near, far
  WHERE near[1] <> far[1]
  RETURN [u, near[1], b, far[1], i] AS nodes, [near[0], near[2], far[0], far[2]] AS edges,
         1.0 * near[3] * e * far[3] AS degrees
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
