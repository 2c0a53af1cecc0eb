// purpose: Items with the most similar text vectors; the embedded engine compares them all.
// use: query
// parameters: item, skip = 0, limit = 20
// columns: id, title, cosine
// writes: no
MATCH (i:Item {id: $item})
WHERE i.embedding IS NOT NULL
MATCH (n:Item)
WHERE n.embedding IS NOT NULL AND n.id <> $item
RETURN n.id AS id, n.title AS title, cosine(n.embedding, i.embedding) AS cosine
ORDER BY cosine DESC, id
SKIP $skip LIMIT $limit
