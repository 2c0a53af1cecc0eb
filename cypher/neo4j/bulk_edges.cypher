// purpose: Makes edges of a first load, grouped by head, both ends by internal id.
// use: load
// parameters: rows (lists: head node, list of tail nodes), shared (map of properties)
// writes: yes
UNWIND $rows AS r
MATCH (a) WHERE id(a) = r[0]
UNWIND r[1] AS tail
MATCH (b) WHERE id(b) = tail
CREATE (a)-[x:{{type}}]->(b)
SET x = $shared
