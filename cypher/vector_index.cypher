// purpose: Makes the vector index of a label.
// use: schema
// writes: yes
CREATE VECTOR INDEX kgrec_{{label}}_embedding IF NOT EXISTS FOR (n:{{label}}) ON (n.embedding)
OPTIONS {indexConfig: {`vector.dimensions`: {{dimensions}}, `vector.similarity_function`: 'cosine'}}
