// purpose: What the constraints of any graph say about properties.
// use: export
// columns: kind, labels, properties
// writes: no
SHOW CONSTRAINTS YIELD type, labelsOrTypes, properties
RETURN type AS kind, labelsOrTypes AS labels, properties AS properties
