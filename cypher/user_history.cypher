// purpose: The training interactions of a user, the latest first.
// use: query
// parameters: user, skip = 0, limit = 20
// columns: id, title, rating, time
// writes: no
MATCH (u:User {id: $user})-[x:INTERACTED]->(i:Item)
RETURN i.id AS id, i.title AS title, x.rating AS rating, x.time AS time
ORDER BY coalesce(x.time, 0) DESC, id
SKIP $skip LIMIT $limit
