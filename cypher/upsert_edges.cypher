// purpose: Makes edges without properties, or stamps those that exist.
// use: load
// parameters: rows (lists: head id, tail id), load
// writes: yes
UNWIND $rows AS r
MATCH (a:{{head}} {id: r[0]})
MATCH (b:{{tail}} {id: r[1]})
MERGE (a)-[x:{{type}}]->(b)
SET x.load = $load
