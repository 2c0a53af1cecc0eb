// purpose: The items with the most training interactions.
// use: query
// parameters: limit = 20
// columns: id, title, users
// writes: no
MATCH (i:Item)
WITH i, COUNT { (i)<-[:INTERACTED]-() } AS users
WHERE users > 0
RETURN i.id AS id, i.title AS title, users
ORDER BY users DESC, id
LIMIT $limit
