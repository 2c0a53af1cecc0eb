// purpose: Items new to a user, liked by the `neighbours` users who share most items with them.
// use: query
// parameters: user, neighbours = 100, skip = 0, limit = 20
// columns: id, title, weight
// writes: no
MATCH (u:User {id: $user})-[:INTERACTED]->(:Item)<-[:INTERACTED]-(v:User)
WHERE v.id <> $user
WITH u, v, count(*) AS overlap
ORDER BY overlap DESC, v.id
LIMIT $neighbours
MATCH (v)-[:INTERACTED]->(i:Item)
WHERE NOT EXISTS { MATCH (u)-[:INTERACTED|HELD_OUT_VALID|HELD_OUT_TEST]->(i) }
WITH i, sum(overlap) AS weight
RETURN i.id AS id, i.title AS title, weight
ORDER BY weight DESC, id
SKIP $skip LIMIT $limit
