// purpose: The nodes nearest to a vector; the embedded engine compares them all.
// use: export
// parameters: vector, limit = 10
// columns: id, score
// writes: no
MATCH (n:{{label}})
WHERE n.embedding IS NOT NULL
RETURN n.id AS id, cosine(n.embedding, $vector) AS score
ORDER BY score DESC, id
LIMIT $limit
