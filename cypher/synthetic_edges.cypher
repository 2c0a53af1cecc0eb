// purpose: The proposed pairs of one run.
// use: export
// parameters: run
// columns: user, item, weight, source, seed
// writes: no
MATCH (a:{{head}})-[x:{{type}}]->(b:{{tail}})
WHERE x.run = $run
RETURN a.id AS user, b.id AS item, x.weight AS weight, x.source AS source, x.seed AS seed
