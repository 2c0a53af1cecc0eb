// purpose: The labels of any graph.
// use: export
// columns: name
// writes: no
CALL db.labels() YIELD label
RETURN label AS name
ORDER BY name
