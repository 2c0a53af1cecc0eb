// purpose: The items that share users with an item; `cosine` sets the shared users against both.
// use: query
// parameters: item, limit = 20
// columns: id, title, shared, cosine
// writes: no
MATCH (i:Item {id: $item})<-[:INTERACTED]-(u:User)
WITH i, collect(u) AS readers
UNWIND readers AS u
MATCH (u)-[:INTERACTED]->(other:Item)
WHERE other.id <> $item
WITH other, size(readers) AS own, count(*) AS shared
WITH other, shared, shared / sqrt(toFloat(own) * COUNT { (other)<-[:INTERACTED]-(:User) }) AS cosine
RETURN other.id AS id, other.title AS title, shared, cosine
ORDER BY cosine DESC, id
LIMIT $limit
