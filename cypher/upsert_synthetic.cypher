// purpose: Marks proposed user-item pairs of one run; what they carry is written anew.
// use: load
// parameters: rows (lists: user id, item id, weight), run, source, seed
// columns: written
// writes: yes
UNWIND $rows AS r
MATCH (a:{{head}} {id: r[0]})
MATCH (b:{{tail}} {id: r[1]})
MERGE (a)-[x:{{type}} {run: $run}]->(b)
SET x.weight = r[2], x.source = $source, x.seed = $seed, x.synthetic = true
RETURN count(*) AS written
