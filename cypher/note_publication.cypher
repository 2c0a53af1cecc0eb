// purpose: Notes on a publication that is being written how far it has come.
// use: load
// parameters: id, properties (map)
// columns: id
// writes: yes
MATCH (p:KgrecPublication {id: $id})
SET p.touched = $id
WITH p
WHERE p.state = 'writing'
SET p += $properties
RETURN p.id AS id
