// purpose: As bulk_edges, with what an interaction carries.
// use: load
// parameters: rows (lists: head node, list of lists: tail node, rating, time)
// writes: yes
UNWIND $rows AS r
MATCH (a) WHERE id(a) = r[0]
UNWIND r[1] AS tail
MATCH (b) WHERE id(b) = tail[0]
CREATE (a)-[:{{type}} {rating: tail[1], time: tail[2]}]->(b)
