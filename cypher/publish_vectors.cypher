// purpose: Writes vectors of a publication to nodes; does nothing once it is retired.
// use: load
// parameters: run, progress (map), rows (lists: key, map of the vector's property)
// columns: written
// writes: yes
MATCH (p:KgrecPublication {id: $run})
SET p.touched = $run
WITH p
WHERE p.state <> 'retired'
SET p += $progress
WITH p
UNWIND $rows AS r
MATCH (n:{{node}} { {{key}}: r[0] })
SET n += r[1]
RETURN count(*) AS written
