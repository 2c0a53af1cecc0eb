// purpose: The properties of a sample of a label's nodes: types, how many have one, how many differ.
// use: export
// parameters: sample
// columns: name, type, present, differing, length, examples, sampled
// writes: no
MATCH (n:{{label}})
WITH n LIMIT $sample
WITH collect(n) AS nodes
UNWIND nodes AS n
UNWIND [k IN keys(n) WHERE NOT k STARTS WITH 'kgrec_'] AS name
WITH size(nodes) AS sampled, name, n[name] AS value
WITH sampled, name, value, valueType(value) AS type
WITH sampled, name, type, count(*) AS present, count(DISTINCT value) AS differing,
     avg(CASE WHEN type STARTS WITH 'STRING' THEN size(value) END) AS length,
     collect(DISTINCT CASE WHEN type STARTS WITH 'LIST' THEN null
                           ELSE left(toStringOrNull(value), 40) END)[..3] AS examples
RETURN name, type, present, differing, length, examples, sampled
ORDER BY type, name
