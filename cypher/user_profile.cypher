// purpose: One row on a user: counts, times, properties, and a relation's `limit` main attributes.
// use: query
// parameters: user, limit = 5
// columns: id, interactions, first, last, rating, behaviours, properties, attributes
// writes: no
OPTIONAL MATCH (k:KgrecRelation)
WITH collect(DISTINCT CASE WHEN coalesce(k.role, 'relation') = 'relation' THEN k.edge_type END)
       AS relations,
     collect(DISTINCT CASE WHEN k.role IN ['evidence', 'negative'] THEN k.edge_type END) AS kinds
MATCH (u:User {id: $user})
CALL (u) {
  MATCH (u)-[x:INTERACTED]->(:Item)
  RETURN count(x) AS interactions, min(x.time) AS first, max(x.time) AS last,
         avg(x.rating) AS rating
}
CALL (u, kinds) {
  MATCH (u)-[x]->(:Item)
  WHERE type(x) IN kinds
  WITH type(x) AS type, count(*) AS edges
  ORDER BY type
  RETURN collect({type: type, edges: edges}) AS behaviours
}
CALL (u, relations) {
  MATCH (u)-[:INTERACTED]->(i:Item)-[x]-(e:Entity)
  WHERE type(x) IN relations
  WITH type(x) AS type, e, count(DISTINCT i) AS items
  ORDER BY type, items DESC, e.id
  WITH type, collect({type: type, id: e.id, name: e.name, items: items})[..$limit] AS main
  ORDER BY type
  WITH collect(main) AS mains
  RETURN reduce(joined = [], main IN mains | joined + main) AS attributes
}
RETURN u.id AS id, interactions, first, last, rating, behaviours,
       [p IN keys(u)
        WHERE NOT p IN ['id', 'index', 'load', 'embedding', 'synthetic', 'type', 'title', 'name',
                        'label'] | [p, u[p]]] AS properties, attributes
ORDER BY id
