// purpose: Makes edges or updates them; their properties become those of the map.
// use: load
// parameters: rows (lists: head id, tail id, map of properties)
// columns: written
// writes: yes
UNWIND $rows AS r
MATCH (a:{{head}} {id: r[0]})
MATCH (b:{{tail}} {id: r[1]})
MERGE (a)-[x:{{type}}]->(b)
SET x = r[2]
RETURN count(*) AS written
