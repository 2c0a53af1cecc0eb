// purpose: The names of all constraints.
// use: schema
// columns: name
// writes: no
SHOW CONSTRAINTS YIELD name RETURN name
