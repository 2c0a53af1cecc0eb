// purpose: The indexes that find a node of any graph by one property.
// use: export
// columns: labels, properties
// writes: no
SHOW INDEXES YIELD type, entityType, labelsOrTypes, properties
WHERE type = 'RANGE' AND entityType = 'NODE' AND size(properties) = 1
RETURN labelsOrTypes AS labels, properties AS properties
