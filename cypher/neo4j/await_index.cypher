// purpose: Waits until an index is filled, at most so many seconds.
// use: schema
// parameters: index (its name), seconds
// writes: no
CALL db.awaitIndex($index, $seconds)
