// purpose: As bulk_edges, each edge with properties of its own; a list that ends early lacks some.
// use: load
// parameters: rows (head node, lists: tail node, rating, time, ... as below), shared (map)
// writes: yes
UNWIND $rows AS r
MATCH (a) WHERE id(a) = r[0]
UNWIND r[1] AS e
MATCH (b) WHERE id(b) = e[0]
CREATE (a)-[x:{{type}} {rating: e[1], time: e[2], weight: e[3], count: e[4], session: e[5],
                        score: e[6], load: e[7]}]->(b)
SET x += $shared
