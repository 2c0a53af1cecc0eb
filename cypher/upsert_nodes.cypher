// purpose: Makes or updates nodes; a property that is null in the map is removed.
// use: load
// parameters: rows (lists: id, map of properties)
// writes: yes
UNWIND $rows AS r
MERGE (n:{{label}} {id: r[0]})
SET n += r[1]
