// purpose: The interactions of a user in all splits, the latest first.
// use: query
// parameters: user, skip = 0, limit = 20
// columns: id, title, rating, time, split
// writes: no
MATCH (u:User {id: $user})-[x:INTERACTED|HELD_OUT_VALID|HELD_OUT_TEST]->(i:Item)
RETURN i.id AS id, i.title AS title, x.rating AS rating, x.time AS time,
       CASE type(x) WHEN 'INTERACTED' THEN 'train' WHEN 'HELD_OUT_VALID' THEN 'valid'
                    ELSE 'test' END AS split
ORDER BY coalesce(x.time, 0) DESC, id
SKIP $skip LIMIT $limit
