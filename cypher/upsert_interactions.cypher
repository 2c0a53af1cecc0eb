// purpose: Makes or updates interactions; a null rating or time removes the old one.
// use: load
// parameters: rows (lists: user id, item id, rating, time), load
// writes: yes
UNWIND $rows AS r
MATCH (a:{{head}} {id: r[0]})
MATCH (b:{{tail}} {id: r[1]})
MERGE (a)-[x:{{type}}]->(b)
SET x.rating = r[2], x.time = r[3], x.load = $load
