// purpose: Makes edges of a publication, once: only if it has come exactly as far as `before`.
// use: load
// parameters: run, counter (a name), before, progress (map), rows (lists: head, tail, score, rank, cold)
// columns: written
// writes: yes
MATCH (p:KgrecPublication {id: $run})
// The first write takes the node's lock, so that what is read of it after is the latest.
SET p.touched = $run
WITH p
WHERE p.state = 'writing' AND p[$counter] = $before
SET p += $progress
WITH p
UNWIND $rows AS r
MATCH (a:{{head}} { {{head_key}}: r[0] })
MATCH (b:{{tail}} { {{tail_key}}: r[1] })
CREATE (a)-[:{{type}} {score: r[2], rank: r[3], cold: r[4], run: $run}]->(b)
RETURN count(*) AS written
