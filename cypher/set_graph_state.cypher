// purpose: Records the graph's version, whether a load is under way, what interactions carry.
// use: load
// parameters: version, state, interaction_properties (names)
// writes: yes
MERGE (g:KgrecGraph {id: 'graph'})
SET g.version = $version, g.state = $state, g.interaction_properties = $interaction_properties
