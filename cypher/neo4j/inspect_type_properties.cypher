// purpose: The properties of a sample of a type's relationships, as inspect_properties has them.
// use: export
// parameters: sample
// columns: name, type, present, differing, length, examples, sampled
// writes: no
MATCH ()-[r:{{type}}]->()
WITH r LIMIT $sample
WITH collect(r) AS edges
UNWIND edges AS r
UNWIND keys(r) AS name
WITH size(edges) AS sampled, name, r[name] AS value
WITH sampled, name, value, valueType(value) AS type
WITH sampled, name, type, count(*) AS present, count(DISTINCT value) AS differing,
     avg(CASE WHEN type STARTS WITH 'STRING' THEN size(value) END) AS length,
     collect(DISTINCT CASE WHEN type STARTS WITH 'LIST' THEN null
                           ELSE left(toStringOrNull(value), 40) END)[..3] AS examples
RETURN name, type, present, differing, length, examples, sampled
ORDER BY type, name
