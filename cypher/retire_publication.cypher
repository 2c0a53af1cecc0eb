// purpose: Takes a publication back: from now on nobody reads it or goes on writing it.
// use: load
// parameters: id
// columns: id
// writes: yes
MATCH (p:KgrecPublication {id: $id})
SET p.state = 'retired'
WITH p
OPTIONAL MATCH (c:KgrecCurrent {id: 'publication', publication: $id})
REMOVE c.publication
WITH p, count(c) AS was
OPTIONAL MATCH (k:KgrecRelation)
WHERE was > 0
REMOVE k.weight, k.weight_reverse
RETURN DISTINCT p.id AS id
