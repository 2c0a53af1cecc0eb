// purpose: How many edges of one set have each of the properties that an edge may have.
// use: export
// columns: rating, time, weight, count, session, score, load
// writes: no
MATCH (:{{head}})-[x:{{type}}]->(:{{tail}})
RETURN count(x.rating) AS rating, count(x.time) AS time, count(x.weight) AS weight,
       count(x.count) AS count, count(x.session) AS session, count(x.score) AS score,
       count(x.load) AS load
