// purpose: The items that the current publication finds like an item, the closest first.
// use: query
// parameters: item, skip = 0, limit = 20
// columns: id, title, score, rank
// writes: no
MATCH (c:KgrecCurrent {id: 'publication'})
WITH c.publication AS run
MATCH (:Item {id: $item})-[r:SIMILAR]->(i:Item)
WHERE r.run = run
RETURN i.id AS id, i.title AS title, r.score AS score, r.rank AS rank
ORDER BY rank, id
SKIP $skip LIMIT $limit
