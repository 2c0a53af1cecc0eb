// purpose: As export_edges; each head is a list of its internal id and the values of `properties`.
// use: export
// parameters: properties (names)
// columns: tail, heads
// writes: no
MATCH (b:{{tail}})
WITH b, [(b)<-[x:{{type}}]-(a:{{head}}) | [id(a)] + [p IN $properties | x[p]]] AS heads
WHERE size(heads) > 0
RETURN id(b) AS tail, heads
