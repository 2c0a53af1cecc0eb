// purpose: Deletes the entries of the list of loads that are not kept.
// use: load
// parameters: kept (ids)
// writes: yes
MATCH (k:KgrecLoad)
WHERE NOT k.id IN $kept
DETACH DELETE k
