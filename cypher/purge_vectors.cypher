// purpose: Removes up to `limit` vectors from one of the two places.
// use: load
// parameters: limit
// columns: cleared
// writes: yes
MATCH (n:{{node}})
WHERE n.{{vector}} IS NOT NULL
WITH n LIMIT $limit
REMOVE n.{{vector}}
RETURN count(*) AS cleared
