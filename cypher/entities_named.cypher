// purpose: The entities that have one of some names, which are given in small letters.
// use: load
// parameters: called
// columns: id, name
// writes: no
MATCH (e:Entity)
WHERE toLower(toString(e.name)) IN $called
RETURN e.id AS id, e.name AS name
ORDER BY id
