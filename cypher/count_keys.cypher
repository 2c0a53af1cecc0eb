// purpose: How many of some keys a label has, and how many nodes have one of them.
// use: export
// parameters: keys
// columns: keys, nodes
// writes: no
UNWIND $keys AS wanted
MATCH (n:{{node}} { {{key}}: wanted })
RETURN count(DISTINCT wanted) AS keys, count(n) AS nodes
