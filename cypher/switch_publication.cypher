// purpose: Makes a written publication the current one, and the relations' weights those of its run.
// use: load
// parameters: id, weights (lists by catalogue id: weight, weight of the reverse)
// columns: id
// writes: yes
MATCH (p:KgrecPublication {id: $id})
// The first write takes the node's lock, so that what is read of it after is the latest.
SET p.touched = $id
WITH p
WHERE p.state IN ['writing', 'current']
OPTIONAL MATCH (old:KgrecPublication {state: 'current'})
WHERE old.id <> $id
SET old.state = 'retired'
WITH p, count(old) AS retired
SET p.state = 'current'
MERGE (c:KgrecCurrent {id: 'publication'})
SET c.publication = p.id
WITH p
OPTIONAL MATCH (k:KgrecRelation)
SET k.weight = $weights[k.id][0], k.weight_reverse = $weights[k.id][1]
RETURN DISTINCT p.id AS id
