// purpose: Deletes nodes of a label with their edges.
// use: load
// parameters: ids
// writes: yes
UNWIND $ids AS gone
MATCH (n:{{label}} {id: gone})
DETACH DELETE n
