// purpose: Items with the most similar text vectors, by the store's vector index.
// use: query
// parameters: item, skip = 0, limit = 20
// columns: id, title, cosine
// writes: no
MATCH (i:Item {id: $item})
WHERE i.embedding IS NOT NULL
CALL db.index.vector.queryNodes('kgrec_Item_embedding', $skip + $limit + 1, i.embedding)
YIELD node, score
WITH i, node, score AS cosine
WHERE node <> i
RETURN node.id AS id, node.title AS title, cosine
ORDER BY cosine DESC, id
SKIP $skip LIMIT $limit
