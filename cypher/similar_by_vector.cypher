// purpose: Items with the most similar text vectors: the store's index proposes, the cosine ranks.
// use: query
// parameters: item, skip = 0, limit = 20
// columns: id, title, cosine
// writes: no
MATCH (i:Item {id: $item})
WHERE i.embedding IS NOT NULL
CALL db.index.vector.queryNodes('kgrec_Item_embedding', 2 * ($skip + $limit) + 10, i.embedding)
YIELD node, score
WITH i, node, score
WHERE node <> i
WITH node, i.embedding AS a, node.embedding AS b, range(0, size(i.embedding) - 1) AS places
WITH node, reduce(s = 0.0, p IN places | s + a[p] * b[p]) AS dot,
     reduce(s = 0.0, p IN places | s + a[p] * a[p]) AS one,
     reduce(s = 0.0, p IN places | s + b[p] * b[p]) AS two
RETURN node.id AS id, node.title AS title, dot / sqrt(one * two) AS cosine
ORDER BY cosine DESC, id
SKIP $skip LIMIT $limit
