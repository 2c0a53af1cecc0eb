// purpose: Makes nodes of a first load and gives their internal ids.
// use: load
// parameters: rows (lists: id, map of properties, position in the frame)
// columns: position, node
// writes: yes
UNWIND $rows AS r
MERGE (n:{{label}} {id: r[0]})
SET n += r[1]
RETURN r[2] AS position, id(n) AS node
