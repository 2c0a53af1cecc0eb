// purpose: Makes a publication that is being written; others that were being written are retired.
// use: load
// parameters: id, properties (map)
// columns: id
// writes: yes
OPTIONAL MATCH (old:KgrecPublication {state: 'writing'})
SET old.state = 'retired'
WITH count(old) AS retired
MERGE (p:KgrecPublication {id: $id})
SET p += $properties, p.state = 'writing'
RETURN p.id AS id
