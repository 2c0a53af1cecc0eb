// purpose: What of runs is in the graph: the publications, the latest first.
// use: query
// parameters: skip = 0, limit = 100
// columns: id, state, current, run, graph_version, slot, created, users, recommended, similar
// writes: no
OPTIONAL MATCH (c:KgrecCurrent {id: 'publication'})
WITH c.publication AS current
MATCH (p:KgrecPublication)
RETURN p.id AS id, p.state AS state, coalesce(p.id = current, false) AS current, p.run AS run,
       p.graph_version AS graph_version, p.slot AS slot, p.created AS created, p.users AS users,
       p.recommended AS recommended, p.similar AS similar
ORDER BY created DESC, id
SKIP $skip LIMIT $limit
