// purpose: How many relationships of a type each of a sample of a label's nodes has.
// use: export
// parameters: sample
// columns: outgoing, incoming
// writes: no
MATCH (n:{{label}})
WITH n LIMIT $sample
RETURN collect(COUNT { (n)-[:{{type}}]->() }) AS outgoing,
       collect(COUNT { (n)<-[:{{type}}]-() }) AS incoming
