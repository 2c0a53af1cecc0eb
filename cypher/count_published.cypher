// purpose: The number of edges of one type that a publication has, and of the nodes that have any.
// use: export
// parameters: run
// columns: count, heads, cold
// writes: no
MATCH (a)-[x:{{type}}]->()
WHERE x.run = $run
RETURN count(x) AS count, count(DISTINCT a) AS heads, count(DISTINCT CASE WHEN x.cold THEN a END) AS cold
