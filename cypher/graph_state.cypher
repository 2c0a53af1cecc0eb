// purpose: The graph's version, its state ("loading", "ready") and what interactions carry.
// use: query
// columns: version, state, interaction_properties
// writes: no
MATCH (g:KgrecGraph {id: 'graph'})
RETURN g.version AS version, g.state AS state, g.interaction_properties AS interaction_properties
