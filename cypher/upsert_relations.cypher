// purpose: Writes the catalogue: which edge set holds which relation of the data.
// use: load
// parameters: rows (lists: key, name, type, head, tail), load
// writes: yes
UNWIND $rows AS r
MERGE (k:KgrecRelation {id: r[0]})
SET k.name = r[1], k.edge_type = r[2], k.head = r[3], k.tail = r[4], k.load = $load
