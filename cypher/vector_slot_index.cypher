// purpose: Makes the vector index of one of the two places of vectors that take turns.
// use: schema
// writes: yes
CREATE VECTOR INDEX {{index}} IF NOT EXISTS FOR (n:{{node}}) ON (n.{{vector}})
OPTIONS {indexConfig: {`vector.dimensions`: {{dimensions}}, `vector.similarity_function`: 'cosine'}}
