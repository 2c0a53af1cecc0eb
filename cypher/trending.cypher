// purpose: Items with more users in [since, until) than in [before, since); score in sigmas.
// use: query
// parameters: since, until, before, skip = 0, limit = 20
// columns: id, title, recent, earlier, score
// writes: no
MATCH (i:Item)<-[x:INTERACTED]-()
WHERE x.time >= $before AND x.time < $until
WITH i, count(CASE WHEN x.time >= $since THEN 1 END) AS recent,
     count(CASE WHEN x.time < $since THEN 1 END) AS earlier
WHERE recent > earlier
RETURN i.id AS id, i.title AS title, recent, earlier,
       (recent - earlier) / sqrt(toFloat(recent + earlier)) AS score
ORDER BY score DESC, recent DESC, id
SKIP $skip LIMIT $limit
