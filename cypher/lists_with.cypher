// purpose: Whose lists of a publication have a place for one of some items.
// use: export
// parameters: run, items (keys)
// columns: id
// writes: no
UNWIND $items AS item
MATCH (a:{{head}})-[x:{{type}}]->(:{{tail}} { {{tail_key}}: item })
WHERE x.run = $run
RETURN DISTINCT a.{{head_key}} AS id
