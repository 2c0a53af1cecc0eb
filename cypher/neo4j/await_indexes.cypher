// purpose: Waits until every index is filled.
// use: schema
// writes: no
CALL db.awaitIndexes(300)
