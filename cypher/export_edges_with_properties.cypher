// purpose: As export_edges, with one list of values (in the order of the heads) per property.
// use: export
// parameters: low, high, properties (names)
// columns: tail, heads, values
// writes: no
MATCH (b:{{tail}})
WHERE b.index >= $low AND b.index < $high
RETURN b.index AS tail, [(b)<-[:{{type}}]-(a:{{head}}) | a.index] AS heads,
       [p IN $properties | [(b)<-[x:{{type}}]-(a:{{head}}) | x[p]]] AS values
