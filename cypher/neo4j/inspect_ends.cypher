// purpose: The labels at the ends of a sample of a type's relationships.
// use: export
// parameters: sample
// columns: heads, tails
// writes: no
MATCH (a)-[r:{{type}}]->(b)
WITH a, b LIMIT $sample
WITH collect(DISTINCT labels(a)) AS heads, collect(DISTINCT labels(b)) AS tails
RETURN reduce(all = [], some IN heads | all + some) AS heads,
       reduce(all = [], some IN tails | all + some) AS tails
