// purpose: As export_edges; each head is a list of its index and the values of `properties`.
// use: export
// parameters: low, high, properties (names)
// columns: tail, heads
// writes: no
MATCH (b:{{tail}})
WHERE b.index >= $low AND b.index < $high
RETURN b.index AS tail,
       [(b)<-[x:{{type}}]-(a:{{head}}) | [a.index] + [p IN $properties | x[p]]] AS heads
