// purpose: Deletes the edges of one set between the given ends, repeated ones as well.
// use: load
// parameters: rows (lists: head id, tail id)
// writes: yes
UNWIND $rows AS r
MATCH (a:{{head}} {id: r[0]})
MATCH (b:{{tail}} {id: r[1]})
// Optional, so that Neo4j looks up both ends first and does not walk all edges of a hub.
OPTIONAL MATCH (a)-[x:{{type}}]->(b)
DELETE x
