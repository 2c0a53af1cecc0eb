// purpose: How many places the lists of a publication have.
// use: export
// parameters: run
// columns: id, count
// writes: no
MATCH (a:{{head}})-[x:{{type}}]->(:{{tail}})
WHERE x.run = $run
RETURN a.{{head_key}} AS id, count(x) AS count
