// purpose: The number of edges of one type that a publication has.
// use: export
// parameters: run
// columns: count
// writes: no
MATCH ()-[x:{{type}}]->()
WHERE x.run = $run
RETURN count(x) AS count
