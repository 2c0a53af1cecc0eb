// purpose: Puts new edges of a publication in place of all it had from some heads, at once.
// use: load
// parameters: run, heads (keys), rows (lists: head, tail, score, rank, cold)
// columns: written
// writes: yes
MATCH (p:KgrecPublication {id: $run})
SET p.touched = $run
WITH p
WHERE p.state <> 'retired'
UNWIND $heads AS head
MATCH (a:{{head}} { {{head_key}}: head })
OPTIONAL MATCH (a)-[x:{{type}}]->(:{{tail}})
WHERE x.run = $run
DELETE x
WITH count(*) AS gone
UNWIND $rows AS r
MATCH (a:{{head}} { {{head_key}}: r[0] })
MATCH (b:{{tail}} { {{tail_key}}: r[1] })
CREATE (a)-[:{{type}} {score: r[2], rank: r[3], cold: r[4], run: $run}]->(b)
RETURN count(*) AS written
