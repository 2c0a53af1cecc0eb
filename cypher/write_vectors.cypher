// purpose: Writes vectors to nodes.
// use: load
// parameters: rows (lists: id, list of floats)
// writes: yes
UNWIND $rows AS r
MATCH (n:{{label}} {id: r[0]})
SET n.embedding = r[1]
