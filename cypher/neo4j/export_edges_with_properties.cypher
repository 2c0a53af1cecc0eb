// purpose: As export_edges, with one list of values (in the order of the heads) per property.
// use: export
// parameters: properties (names)
// columns: tail, heads, values
// writes: no
MATCH (b:{{tail}})
WITH b, [(b)<-[x:{{type}}]-(:{{head}}) | x] AS edges
WHERE size(edges) > 0
RETURN id(b) AS tail, [x IN edges | id(startNode(x))] AS heads,
       [p IN $properties | [x IN edges | x[p]]] AS values
