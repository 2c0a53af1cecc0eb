// purpose: One record per tail whose index is in [low, high): the indices of its heads.
// use: export
// parameters: low, high
// columns: tail, heads
// writes: no
MATCH (b:{{tail}})
WHERE b.index >= $low AND b.index < $high
RETURN b.index AS tail, [(b)<-[:{{type}}]-(a:{{head}}) | a.index] AS heads
