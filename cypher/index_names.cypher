// purpose: The names of all indexes.
// use: schema
// columns: name
// writes: no
SHOW INDEXES YIELD name RETURN name
