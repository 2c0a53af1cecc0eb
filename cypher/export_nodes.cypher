// purpose: The nodes of a label whose index is in [low, high), property values as lists.
// use: export
// parameters: low, high, properties (names)
// columns: id, index, values
// writes: no
MATCH (n:{{label}})
WHERE n.index >= $low AND n.index < $high
RETURN n.id AS id, n.index AS index, [p IN $properties | n[p]] AS values
ORDER BY index, id
