// purpose: Removes the vectors of a label.
// use: load
// writes: yes
MATCH (n:{{label}})
WHERE n.embedding IS NOT NULL
REMOVE n.embedding
