// purpose: One record per tail: its internal id and those of its heads.
// use: export
// columns: tail, heads
// writes: no
MATCH (b:{{tail}})
WITH b, [(b)<-[:{{type}}]-(a:{{head}}) | id(a)] AS heads
WHERE size(heads) > 0
RETURN id(b) AS tail, heads
