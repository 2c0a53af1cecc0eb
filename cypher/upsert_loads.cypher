// purpose: Writes the list of loads.
// use: load
// parameters: rows (lists: id, map of properties)
// writes: yes
UNWIND $rows AS r
MERGE (k:KgrecLoad {id: r[0]})
SET k += r[1]
