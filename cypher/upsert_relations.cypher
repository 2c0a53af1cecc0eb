// purpose: Writes the catalogue: which edge set holds which relation of the data.
// use: load
// parameters: rows (lists: key, map of properties)
// writes: yes
UNWIND $rows AS r
MERGE (k:KgrecRelation {id: r[0]})
SET k += r[1]
