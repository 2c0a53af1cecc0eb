// purpose: The nodes nearest to a vector, by the store's vector index.
// use: export
// parameters: vector, limit = 10
// columns: id, score
// writes: no
CALL db.index.vector.queryNodes('kgrec_{{label}}_embedding', $limit, $vector)
YIELD node, score
RETURN node.id AS id, score
ORDER BY score DESC, id
