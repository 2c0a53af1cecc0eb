// purpose: The items that share users with an item; `cosine` sets the shared users against both.
// use: query
// parameters: item, skip = 0, limit = 20
// columns: id, title, shared, cosine
// writes: no
MATCH (i:Item {id: $item})
WITH i, COUNT { (i)<-[:INTERACTED]-() } AS own
MATCH (i)<-[:INTERACTED]-(:User)-[:INTERACTED]->(other:Item)
WITH own, other, count(*) AS shared
WITH other, shared, shared / sqrt(toFloat(own) * COUNT { (other)<-[:INTERACTED]-() }) AS cosine
RETURN other.id AS id, other.title AS title, shared, cosine
ORDER BY cosine DESC, id
SKIP $skip LIMIT $limit
