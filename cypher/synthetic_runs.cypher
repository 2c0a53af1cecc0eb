// purpose: The runs whose proposed pairs are marked; `proven` of them are interactions by now.
// use: export
// columns: run, source, seed, edges, users, items, proven
// writes: no
MATCH (a:{{head}})-[x:{{type}}]->(b:{{tail}})
RETURN x.run AS run, x.source AS source, x.seed AS seed, count(x) AS edges,
       count(DISTINCT a.id) AS users, count(DISTINCT b.id) AS items,
       sum(CASE WHEN EXISTS { MATCH (a)-[:INTERACTED]->(b) } THEN 1 ELSE 0 END) AS proven
