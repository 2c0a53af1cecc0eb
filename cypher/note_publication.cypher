// purpose: Notes something on a publication that is not retired.
// use: load
// parameters: id, properties (map)
// columns: id
// writes: yes
MATCH (p:KgrecPublication {id: $id})
SET p.touched = $id
WITH p
WHERE p.state <> 'retired'
SET p += $properties
RETURN p.id AS id
