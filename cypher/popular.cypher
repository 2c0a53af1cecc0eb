// purpose: The items with the most training interactions.
// use: query
// parameters: limit = 20
// columns: id, title, users
// writes: no
MATCH (i:Item)<-[:INTERACTED]-(u:User)
WITH i, count(u) AS users
RETURN i.id AS id, i.title AS title, users
ORDER BY users DESC, id
LIMIT $limit
