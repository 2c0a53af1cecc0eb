// purpose: Deletes the catalogue entries that are not kept.
// use: load
// parameters: kept (keys)
// writes: yes
MATCH (k:KgrecRelation)
WHERE NOT k.id IN $kept
DETACH DELETE k
