// purpose: Removes the vector index of one of the two places of vectors that take turns.
// use: schema
// writes: yes
DROP INDEX {{index}} IF EXISTS
