// purpose: The relationship types of any graph.
// use: export
// columns: name
// writes: no
CALL db.relationshipTypes() YIELD relationshipType
RETURN relationshipType AS name
ORDER BY name
