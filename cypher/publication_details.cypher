// purpose: All publications with everything that is noted on them.
// use: export
// columns: properties, current
// writes: no
OPTIONAL MATCH (c:KgrecCurrent {id: 'publication'})
WITH c.publication AS current
MATCH (p:KgrecPublication)
RETURN properties(p) AS properties, coalesce(p.id = current, false) AS current
